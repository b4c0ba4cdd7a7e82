//! What a test's own thread logs. Owns the listening; what must be in a line is for the tests to say.

use std::io;
use std::sync::{Arc, Mutex};
use tracing::subscriber::DefaultGuard;

/// Bytes written to it, shared with those who read them.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that this thread logs while it is kept, whatever the level.
pub(crate) struct Heard {
    sink: Sink,
    _guard: DefaultGuard,
}

/// So often is `act` done before a line counts as never logged.
const TRIES: usize = 1_000;

impl Heard {
    /// Listens, and has `act` done until `line` has been heard: from then on every line of its place in the source is.
    ///
    /// `tracing` asks once for each place in the source whether anybody listens. Where a test beside this one comes to a place
    /// for the first time just as this one begins to listen, the answer may be no, until all places are asked anew.
    pub(crate) async fn once(line: &str, act: impl AsyncFn()) -> Heard {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let heard = Heard { sink, _guard: tracing::subscriber::set_default(subscriber) };
        for _ in 0..TRIES {
            act().await;
            if heard.text().contains(line) {
                heard.sink.0.lock().unwrap().clear();
                return heard;
            }
            tracing::callsite::rebuild_interest_cache();
        }
        panic!("{line:?} is never logged:\n{}", heard.text());
    }

    /// What has been heard since.
    pub(crate) fn text(&self) -> String {
        self.sink.text()
    }
}
