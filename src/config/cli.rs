//! `chargeline check-config [FILE]`: says what is wrong with a configuration without starting (RT-10).

use super::Config;
use super::check::{Problem, Problems};
use super::load::{Sources, load};
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks `file`, or `./chargeline.toml` if it exists, with the environment over it. Prints every problem, then one
/// closing line. `files` says what is wrong with the files that the configuration names.
///
/// # Errors
/// Never; the signature is that of all commands.
pub fn run(file: Option<PathBuf>, files: impl Fn(&Config) -> Vec<Problem>) -> anyhow::Result<ExitCode> {
    let sources = Sources::of_process(file);
    let (text, good) = report(&sources, files);
    println!("{text}");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The lines that `check-config` prints, and whether the configuration is good.
fn report(sources: &Sources, files: impl Fn(&Config) -> Vec<Problem>) -> (String, bool) {
    let name = sources.file.as_ref().map_or("the defaults".into(), |file| file.display().to_string());
    let loaded = load(sources).and_then(|loaded| match files(&loaded.config) {
        problems if problems.is_empty() => Ok(loaded),
        problems => Err(Problems(problems)),
    });
    match loaded {
        Ok(loaded) => (format!("check-config: {name}: good, {} keys set over the defaults", loaded.set.len()), true),
        Err(problems) => (format!("{problems}\ncheck-config: {name}: {} problems", problems.0.len()), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_ends_in_one_line_that_says_what_was_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("chargeline.toml");
        std::fs::write(&file, "[telemetry]\nmetrics_listen = \"here\"\nlogs = 1\n").unwrap();
        let (text, good) = report(&Sources { file: Some(file.clone()), environment: vec![] }, |_| vec![]);
        assert!(!good && text.lines().count() == 3 && text.ends_with("2 problems"), "{text}");
        std::fs::write(&file, "[telemetry]\nmetrics_listen = \"127.0.0.1:0\"\n").unwrap();
        let (text, good) = report(&Sources { file: Some(file), environment: vec![] }, |_| vec![]);
        assert!(good && text.ends_with("good, 1 keys set over the defaults"), "{text}");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_problem() {
        let (text, good) =
            report(&Sources { file: Some("/nowhere/chargeline.toml".into()), environment: vec![] }, |_| vec![]);
        assert!(!good && text.contains("cannot be read") && text.ends_with("1 problems"), "{text}");
    }
}
