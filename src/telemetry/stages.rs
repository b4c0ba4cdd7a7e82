//! How long the stages of a long piece of work took, for one line of the log. Owns the stopwatch; never what is done.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// The stages so far, each with its time: `tail 3ms, sled 800ms`.
#[derive(Debug)]
pub struct Stages {
    since: Instant,
    over: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// The first stage begins now.
    pub fn begin() -> Self {
        Stages { since: Instant::now(), over: Vec::new() }
    }

    /// A stage is over, the next begins.
    pub fn over(&mut self, name: &'static str) {
        let now = Instant::now();
        self.over.push((name, now - self.since));
        self.since = now;
    }
}

impl Display for Stages {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, (name, took)) in self.over.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}ms", took.as_millis())?;
        }
        Ok(())
    }
}
