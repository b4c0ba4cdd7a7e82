//! `docs/configuration.md`, made from `config.toml`.

use super::check::Problems;
use super::document;
use super::{Config, load};
use std::fmt::Write;

/// The reference of all keys, as Markdown.
///
/// # Errors
/// When `config.toml` is no TOML, which a test excludes.
pub fn markdown() -> Result<String, Problems> {
    let sections = document::read(super::DEFAULTS)
        .map_err(|e| Problems(vec![super::check::Problem::of_key("", e).at("config.toml")]))?;
    let mut out = String::from(HEAD);
    for section in sections {
        let _ = write!(out, "\n## [{}]\n\n", section.name);
        if !section.about.is_empty() {
            let _ = write!(out, "{}\n\n", section.about);
        }
        if section.keys.is_empty() {
            out.push_str("No keys.\n");
            continue;
        }
        out.push_str("| key | default | allowed | live | what |\n|---|---|---|---|---|\n");
        for key in section.keys {
            let name = key.path.split_once('.').map_or(key.path.as_str(), |(_, name)| name);
            let live = if key.live { "yes" } else { "" };
            let default = key.default.split_whitespace().collect::<Vec<_>>().join(" ");
            let cell = |text: &str| text.replace('|', "\\|");
            let allowed = cell(key.allowed_text.as_deref().unwrap_or_default());
            let _ = writeln!(out, "| `{name}` | `{}` | {allowed} | {live} | {} |", cell(&default), cell(&key.about));
        }
    }
    Ok(out)
}

const HEAD: &str = "# Configuration

Made from `config.toml` by `cargo xtask docs`; that file is compiled in as the defaults. A file of yours needs only the
keys that differ: `./chargeline.toml`, or the one named with `--config`. An environment variable such as
`CHARGELINE__TELEMETRY__METRICS_LISTEN` wins over both. Unknown keys are refused. `chargeline check-config FILE` lists
everything that is wrong with a file at once. Keys marked live change at run time: edit the file and send SIGHUP, or use
`PUT /ops/v1/config`; every applied configuration is a numbered version that can be rolled back. The others take effect
at a restart. Durations are a whole number with one of `ms`, `s`, `m`, `h`, `d`.
";

/// The defaults.
///
/// # Errors
/// When `config.toml` is not good, which a test excludes.
pub fn defaults() -> Result<Config, Problems> {
    load::from_text(None, &[]).map(|loaded| loaded.config)
}
