//! A whole list into a file, one JSON object a line. Owns the walk over its pages.

use super::http::Client;
use super::{Task, Told, tell};
use anyhow::Context as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Fetches page after page of `task` into `file`, which must not be there yet.
pub(super) async fn run(client: &Client, task: &Task, file: &Path) -> anyhow::Result<Told> {
    let made = File::create_new(file).with_context(|| format!("{} cannot be made", file.display()))?;
    let (mut out, mut count, mut cursor) = (BufWriter::new(made), 0_u64, None::<String>);
    loop {
        let mut path = task.path.clone();
        if let Some(cursor) = &cursor {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.extend(["cursor=", cursor]);
        }
        let answer = client.send(task.method, &path, None).await?;
        if !answer.good() {
            return Ok(tell(&answer, task, false));
        }
        for item in answer.json["items"].as_array().into_iter().flatten() {
            writeln!(out, "{item}").with_context(|| format!("{} cannot be written", file.display()))?;
            count += 1;
        }
        cursor = answer.json["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    out.flush().with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(Told { good: true, lines: vec![format!("{count} items written to {}", file.display())] })
}
