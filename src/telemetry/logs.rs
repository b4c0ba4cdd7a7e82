//! Structured logs (OP-7). Owns where lines go and how they look; never holds the program back: lines that a slow
//! terminal or disk cannot take are dropped and counted, those that a full disk does not take, too.
//!
//! Invariants: one event is one line, whatever a peer put into it (control characters are escaped); text has no colour
//! codes; lines of target `audit` go to their own file if one is named.

use super::metrics::process::LOG_LINES_DROPPED;
use crate::config::telemetry::{LogFormat, Telemetry};
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// The target of lines that tell who did what: `tracing::info!(target: AUDIT, …)`.
pub const AUDIT: &str = "audit";

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter's directives are wrong.
    #[error("telemetry.log_filter `{0}` is not valid: directives such as `info,chargeline::gateway=debug` are allowed")]
    Filter(String),
    /// The audit file cannot be opened.
    #[error("telemetry.audit_file `{0}` cannot be opened for appending")]
    Audit(String, #[source] io::Error),
    /// There is a subscriber already.
    #[error("logging is set up already")]
    Installed,
}

/// Keeps logging alive; when it is dropped the last lines are written.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    workers: Vec<(WorkerGuard, ErrorCounter)>,
}

/// The writers of the process's logs, and how many of the lines that they dropped have been counted.
static INSTALLED: OnceLock<(Vec<ErrorCounter>, AtomicUsize)> = OnceLock::new();

/// Counts the lines dropped since the last call into the metric. Call it before the metric is read.
pub fn count_dropped() {
    let Some((writers, counted)) = INSTALLED.get() else { return };
    let dropped = writers.iter().map(ErrorCounter::dropped_lines).sum();
    let before = counted.fetch_max(dropped, Ordering::Relaxed);
    LOG_LINES_DROPPED.add(dropped.saturating_sub(before) as u64, []);
}

impl Logs {
    /// Changes which lines are written, while running (`telemetry.log_filter` is live).
    ///
    /// # Errors
    /// When the directives are wrong; the old filter stays.
    pub fn set_filter(&self, directives: &str) -> Result<(), Error> {
        let filter = filter(directives)?;
        self.filter.reload(filter).map_err(|_| Error::Filter(directives.to_owned()))
    }
}

fn filter(directives: &str) -> Result<EnvFilter, Error> {
    directives.parse().map_err(|_| Error::Filter(directives.to_owned()))
}

/// Sets up logging of the whole process, to standard error. Once.
///
/// # Errors
/// When the filter is wrong, the audit file cannot be opened, or logging is set up already.
pub fn install(settings: &Telemetry) -> Result<Logs, Error> {
    let (subscriber, logs) = subscriber(settings, io::stderr())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::Installed)?;
    let writers = logs.workers.iter().map(|(_, errors)| errors.clone()).collect();
    INSTALLED.get_or_init(|| (writers, AtomicUsize::new(0)));
    Ok(logs)
}

fn worker(settings: &Telemetry, to: impl io::Write + Send + 'static) -> (NonBlocking, (WorkerGuard, ErrorCounter)) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(settings.log_lines_max);
    let (writer, guard) = builder.thread_name("logs").finish(Gathered(io::BufWriter::new(to)));
    let errors = writer.error_counter();
    (writer, (guard, errors))
}

/// How long lines pile up behind one that was written: a thread that waits for each would be woken for each, which costs
/// whoever logs more than the line. `telemetry.log_lines_max` bounds what can pile up.
const PAUSE: Duration = Duration::from_millis(20);

/// What the writing thread writes to. It flushes when no line waits any more, and before it waits for the next.
struct Gathered<W: io::Write>(io::BufWriter<W>);

impl<W: io::Write> io::Write for Gathered<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line).inspect_err(|_| LOG_LINES_DROPPED.add(1, []))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        std::thread::sleep(PAUSE);
        flushed
    }
}

fn audit_file(path: &Path) -> Result<std::fs::File, Error> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| Error::Audit(path.display().to_string(), e))
}

fn subscriber(
    settings: &Telemetry,
    to: impl io::Write + Send + 'static,
) -> Result<(impl Subscriber + Send + Sync + 'static, Logs), Error> {
    let (filter, handle) = reload::Layer::new(filter(&settings.log_filter)?);
    let (writer, main) = worker(settings, to);
    let mut workers = vec![main];
    let has_audit = !settings.audit_file.as_os_str().is_empty();
    let audit = if has_audit {
        let (writer, audit) = worker(settings, audit_file(&settings.audit_file)?);
        workers.push(audit);
        let only = filter_fn(|about| about.target() == AUDIT);
        Some(tracing_subscriber::fmt::layer().json().with_writer(writer).with_filter(only))
    } else {
        None
    };
    let main = filter.and(filter_fn(move |about| !has_audit || about.target() != AUDIT));
    let layer = match settings.log_format {
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer).with_filter(main).boxed()
        }
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .fmt_fields(DefaultFields::new())
            .event_format(OneLine(Format::default().with_ansi(false)))
            .with_writer(writer)
            .with_filter(main)
            .boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(layer).with(audit);
    Ok((subscriber, Logs { filter: handle, workers }))
}

/// Text of one line: control characters that came in with a value are escaped.
struct OneLine(Format<Full>);

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut line = String::with_capacity(256);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        for c in line.trim_end_matches('\n').chars() {
            // U+2028 and U+2029 end a line for some readers, U+202E turns the rest around.
            if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                write!(to, "{}", c.escape_unicode())?;
            } else {
                to.write_char(c)?;
            }
        }
        to.write_char('\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::heard::Sink;

    fn settings(format: LogFormat) -> Telemetry {
        let mut settings = crate::config::reference::defaults().unwrap().telemetry;
        settings.log_format = format;
        settings
    }

    /// What is written while `act` runs. Dropping the guard writes the last lines.
    fn written(settings: &Telemetry, act: impl FnOnce(&Logs)) -> String {
        let sink = Sink::default();
        let (subscriber, logs) = subscriber(settings, sink.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || act(&logs));
        drop(logs);
        sink.text()
    }

    const HOSTILE: &str = "CP1\nERROR forged line \u{1b}[31m\r\u{202e}";

    #[test]
    fn a_hostile_value_stays_within_its_line() {
        let text = written(&settings(LogFormat::Text), |_| {
            let span = tracing::info_span!("frame", charger = HOSTILE, shown = %HOSTILE);
            span.in_scope(|| tracing::warn!(value = %HOSTILE, "refused {HOSTILE}"));
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(char::is_control) && !text.contains('\u{202e}'), "{text:?}");
        let json = written(&settings(LogFormat::Json), |_| tracing::warn!(value = %HOSTILE, "refused {HOSTILE}"));
        assert_eq!(json.lines().count(), 1, "{json}");
        let line: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(line["value"], HOSTILE);
    }

    #[test]
    fn the_filter_changes_while_running() {
        let text = written(&settings(LogFormat::Text), |logs| {
            tracing::debug!("unseen");
            logs.set_filter("debug").unwrap();
            tracing::debug!("seen");
            assert!(matches!(logs.set_filter("a=b=c"), Err(Error::Filter(_))));
            tracing::debug!("still seen");
        });
        assert!(!text.contains("unseen") && text.contains("still seen") && text.lines().count() == 2, "{text}");
    }

    #[test]
    fn audit_lines_go_to_their_own_file_whatever_the_filter_says() {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(LogFormat::Text);
        settings.audit_file = directory.path().join("audit.log");
        settings.log_filter = "warn".into();
        let text = written(&settings, |_| {
            tracing::info!(target: AUDIT, who = "ada", "stopped a session");
            tracing::warn!("something else");
        });
        let audit = std::fs::read_to_string(&settings.audit_file).unwrap();
        assert!(audit.contains("ada") && audit.lines().count() == 1, "{audit}");
        assert!(!text.contains("ada") && text.contains("something else"), "{text}");
    }

    #[test]
    fn an_audit_file_that_cannot_be_opened_is_named() {
        let mut settings = settings(LogFormat::Text);
        settings.audit_file = "/nowhere/audit.log".into();
        let error = subscriber(&settings, io::sink()).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("/nowhere/audit.log")));
    }
}
