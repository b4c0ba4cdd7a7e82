//! What the kills have hit. Owns the count: of freezes, captures and releases from the server's own metric (what it had to ask an
//! account again after its start was unanswered at the kill), of callbacks and arrivals from who was waiting for an answer.

use crate::money::{Moment, Moments};
use crate::partner::http_client;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The metric that tells what was unanswered.
const ASKED_AGAIN: &str = "chargeline_account_asked_again_total{request=\"";
/// Between two readings.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Kills that hit something under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Hits {
    /// An amount was being set aside.
    pub freeze: u32,
    /// A bill was being captured.
    pub capture: u32,
    /// What was set aside was being given back.
    pub release: u32,
    /// A payment's callback was being told.
    pub callback: u32,
    /// A reservation was becoming a session.
    pub arrival: u32,
}

impl Hits {
    /// Whether each was hit.
    pub fn all(&self) -> bool {
        [self.freeze, self.capture, self.release, self.callback, self.arrival].iter().all(|hits| *hits > 0)
    }

    /// For people.
    pub fn line(&self) -> String {
        let Hits { freeze, capture, release, callback, arrival } = self;
        format!(
            "kills that hit a freeze {freeze}, a capture {capture}, a release {release}, a callback {callback}, \
             a reservation becoming a session {arrival}"
        )
    }

    /// What the outside was waiting for when the server was killed.
    pub(super) fn outside(&mut self, moments: &Moments) {
        self.callback += u32::from(moments.under_way(Moment::Callback) > 0);
        self.arrival += u32::from(moments.under_way(Moment::Arrival) > 0);
    }

    /// What the next life of the server had to ask again.
    pub(super) fn inside(&mut self, asked: &BTreeMap<String, u64>) {
        let any = |names: &[&str]| u32::from(names.iter().any(|name| asked.get(*name).is_some_and(|count| *count > 0)));
        self.freeze += any(&["freeze", "extend", "deposit"]);
        self.capture += any(&["capture", "charge"]);
        self.release += any(&["release", "settle"]);
    }
}

/// The counters of one life of the server, read again and again.
#[derive(Debug)]
pub(super) struct Life {
    latest: Arc<Mutex<BTreeMap<String, u64>>>,
    task: JoinHandle<()>,
}

impl Life {
    /// Reads from now on.
    pub(super) fn watch(metrics_port: u16) -> anyhow::Result<Life> {
        let http = http_client(Duration::from_secs(2))?;
        let latest = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = Arc::clone(&latest);
        let url = format!("http://127.0.0.1:{metrics_port}/metrics");
        let task = tokio::spawn(async move {
            loop {
                if let Ok(answer) = http.get(&url).send().await
                    && let Ok(text) = answer.text().await
                {
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = asked_again(&text);
                }
                tokio::time::sleep(READ_EVERY).await;
            }
        });
        Ok(Life { latest, task })
    }

    /// The last reading.
    pub(super) fn over(self) -> BTreeMap<String, u64> {
        self.task.abort();
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn asked_again(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(ASKED_AGAIN)?.split_once("\"} "));
    lines.filter_map(|(request, count)| Some((request.to_owned(), count.trim().parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_again_is_read_from_the_metrics_and_counts_a_kill_once() {
        let text = "# HELP chargeline_account_asked_again_total x\n\
                    chargeline_account_asked_again_total{request=\"freeze\"} 3\n\
                    chargeline_account_asked_again_total{request=\"deposit\"} 1\n\
                    chargeline_account_asked_again_total{request=\"settle\"} 0\nother{request=\"capture\"} 9\n";
        let asked = asked_again(text);
        assert_eq!(asked.get("freeze"), Some(&3));
        let mut hits = Hits::default();
        hits.inside(&asked);
        assert_eq!(hits, Hits { freeze: 1, ..Hits::default() });
        let moments = Moments::default();
        let _guard = moments.enter(Moment::Callback);
        hits.outside(&moments);
        assert_eq!((hits.callback, hits.arrival, hits.all()), (1, 0, false));
    }
}
