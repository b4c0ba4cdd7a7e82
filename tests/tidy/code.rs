//! Rust source as far as the style test reads it: comments and literals told from code, functions found by braces.

/// The text with the content of comments, strings and characters blanked, line by line as before.
pub(crate) fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment, string or character that begins at `at` ends; `at` itself if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or('\0');
    let find =
        |from: usize, stop: &dyn Fn(usize) -> bool| (from..chars.len()).find(|i| stop(*i)).unwrap_or(chars.len());
    let before = if at == 0 { ' ' } else { chars[at - 1] };
    match chars[at] {
        '/' if next(1) == '/' => find(at, &|i| chars[i] == '\n'),
        '/' if next(1) == '*' => {
            let mut depth = 0;
            let mut i = at;
            while i + 1 < chars.len() {
                match (chars[i], chars[i + 1]) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 1),
                    ('*', '/') => (depth, i) = (depth - 1, i + 1),
                    _ => {}
                }
                i += 1;
                if depth == 0 {
                    return i;
                }
            }
            chars.len()
        }
        'r' if matches!(next(1), '"' | '#') && !(before.is_alphanumeric() || before == '_') => {
            let hashes = (1..).take_while(|n| next(*n) == '#').count();
            if next(1 + hashes) != '"' {
                return at;
            }
            let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|n| chars.get(i + n) == Some(&'#'));
            (find(at + 2 + hashes, &closes) + 1 + hashes).min(chars.len())
        }
        '"' => {
            let mut i = at + 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            (i + 1).min(chars.len())
        }
        // A character, not a lifetime.
        '\'' if next(1) == '\\' => (find(at + 3, &|i| chars[i] == '\'') + 1).min(chars.len()),
        '\'' if next(2) == '\'' => at + 3,
        _ => at,
    }
}

/// A function: its name, first line (from 1) and number of lines.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// The functions of `bare` code that have a body.
pub(crate) fn functions(bare: &str) -> Vec<Function> {
    let lines: Vec<&str> = bare.lines().collect();
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let qualifiers = ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern"];
        let first = words.iter().position(|word| !qualifiers.contains(word));
        let Some(name) = first.filter(|at| words[*at] == "fn").and_then(|at| words.get(at + 1)) else { continue };
        let name = name.split(['(', '<']).next().unwrap_or_default().to_owned();
        if let Some(last) = body_end(&lines[n..]) {
            found.push(Function { name, line: n + 1, lines: last + 1 });
        }
    }
    found
}

/// The index of the line on which the body that begins here ends; none for a declaration.
fn body_end(lines: &[&str]) -> Option<usize> {
    let mut depth = 0;
    for (n, line) in lines.iter().enumerate() {
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 1 => return Some(n),
                '}' => depth -= 1,
                ';' if depth == 0 && !line.contains('[') => return None,
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "let a = \"sled::\\\" x\"; // sled::\nlet b = r#\"sled:: \" \"#; /* a /* b */ sled:: */ let c = '\"'; f::<'a>()";
        let bare = bare(text);
        assert!(!bare.contains("sled"), "{bare}");
        assert!(bare.contains("let b =") && bare.contains("let c =") && bare.contains("f::<'a>()"), "{bare}");
        assert_eq!(bare.lines().count(), text.lines().count());
    }

    #[test]
    fn functions_are_measured_from_their_first_line_to_the_closing_brace() {
        let text = "trait T {\n    fn no_body(&self);\n    fn one(&self) -> u8 { 1 }\n}\npub async fn two() {\n    if x {\n    }\n}\n";
        let found = functions(&bare(text));
        let want = [("one", 3, 1), ("two", 5, 4)];
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, want);
    }
}
