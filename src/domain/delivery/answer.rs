//! What came of a try to deliver. Owns the meaning of answers (2xx, 410, 429 …); never sends.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// An event of the outbox without its payload: what the queue needs to remember of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the outbox.
    pub position: u64,
    /// Stable id over retries and replays.
    pub event_id: Arc<str>,
    /// Within one key, order is kept.
    pub order_key: Arc<str>,
    /// The event type.
    pub kind: Arc<str>,
    /// Whether it has a sequence number and so is never coalesced.
    pub sequenced: bool,
    /// When it happened.
    pub at: Timestamp,
}

/// What the partner's endpoint, or the way to it, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// An HTTP answer.
    Status {
        /// Its status code.
        code: u16,
        /// Its `Retry-After` in milliseconds, if it had one that can be read.
        retry_after_ms: Option<u64>,
        /// The beginning of its body, escaped and cut.
        excerpt: String,
    },
    /// No answer in time (15 s a try).
    TimedOut,
    /// The name could not be resolved.
    NameFailed(String),
    /// The address guard refused the target (EM-9).
    Refused(String),
    /// No connection.
    ConnectFailed(String),
    /// The TLS handshake failed.
    TlsFailed(String),
    /// The connection broke, or what came was no HTTP.
    Broken(String),
    /// A partner that speaks T/CEC 102 answered, and did not take it (EM-11).
    Declined {
        /// Its `Ret`.
        ret: i64,
        /// The interface, and the beginning of its `Msg`.
        excerpt: String,
    },
    /// The event is no longer in the outbox, so there is nothing to send.
    Missing,
    /// An answer to a challenge that does not give it back.
    NotEchoed {
        /// Its status code.
        code: u16,
    },
}

/// What an answer means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 2xx: done.
    Delivered,
    /// 410: the endpoint wants nothing more.
    Gone,
    /// 429, or 503 with `Retry-After`: try again, and everything else to this endpoint more slowly.
    SlowDown,
    /// Everything else, redirects too: try again.
    Failed,
    /// Trying again is pointless.
    Hopeless,
}

impl Answer {
    /// What it means (EM-8). A redirect is a failure and never followed.
    pub fn class(&self) -> Class {
        match self {
            Answer::Status { code: 200..=299, .. } => Class::Delivered,
            Answer::Status { code: 410, .. } => Class::Gone,
            Answer::Status { code: 429, .. } | Answer::Status { code: 503, retry_after_ms: Some(_), .. } => {
                Class::SlowDown
            }
            Answer::Status { .. } => Class::Failed,
            Answer::TimedOut
            | Answer::NameFailed(_)
            | Answer::Refused(_)
            | Answer::ConnectFailed(_)
            | Answer::TlsFailed(_)
            | Answer::Broken(_)
            | Answer::NotEchoed { .. }
            | Answer::Declined { .. } => Class::Failed,
            Answer::Missing => Class::Hopeless,
        }
    }

    /// How long the partner asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Answer::Status { retry_after_ms, .. } => retry_after_ms.map(Duration::from_millis),
            Answer::TimedOut
            | Answer::NameFailed(_)
            | Answer::Refused(_)
            | Answer::ConnectFailed(_)
            | Answer::TlsFailed(_)
            | Answer::Broken(_)
            | Answer::Declined { .. }
            | Answer::NotEchoed { .. }
            | Answer::Missing => None,
        }
    }

    /// In words, for the partner.
    pub fn told(&self) -> String {
        match self {
            Answer::Status { code, .. } if (200..300).contains(code) => "delivered".to_owned(),
            Answer::Status { code, .. } => format!("status: {code}"),
            Answer::TimedOut => "timed_out".to_owned(),
            Answer::NameFailed(why) => format!("name_failed: {why}"),
            Answer::Refused(why) => format!("refused: {why}"),
            Answer::ConnectFailed(why) => format!("connect_failed: {why}"),
            Answer::TlsFailed(why) => format!("tls_failed: {why}"),
            Answer::Broken(why) => format!("broken: {why}"),
            Answer::Declined { ret, excerpt } => format!("declined: Ret {ret} {excerpt}"),
            Answer::Missing => "missing".to_owned(),
            Answer::NotEchoed { code } => format!("not_echoed: {code} without the challenge in the body"),
        }
    }
}

/// A finished try, as the shell reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which event.
    pub entry: Entry,
    /// It was begun because the event had been asked for again.
    pub replayed: bool,
    /// When the try began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came of it.
    pub answer: Answer,
    /// The partner's own waits for this event, in place of the policy's (EM-11).
    pub waits: Option<Arc<[Duration]>>,
}

/// What followed from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Delivered,
    /// It will be tried again at this time.
    Retry(Timestamp),
    /// Given up: a dead letter.
    Dead,
    /// Kept until the endpoint is enabled again.
    Held,
}

/// A try in the log (EM-9: partners read it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Its place in the outbox.
    pub position: u64,
    /// Which event.
    pub event_id: Arc<str>,
    /// Its type.
    pub kind: Arc<str>,
    /// Which try of it, from 1.
    pub attempt: u16,
    /// When the try began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came of it.
    pub answer: Answer,
    /// What followed.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, retry_after_ms: Option<u64>) -> Answer {
        Answer::Status { code, retry_after_ms, excerpt: String::new() }
    }

    #[test]
    fn every_answer_has_its_meaning() {
        let text = || "why".to_owned();
        for (answer, class) in [
            (status(200, None), Class::Delivered),
            (status(204, None), Class::Delivered),
            (status(299, Some(5)), Class::Delivered),
            (status(199, None), Class::Failed),
            (status(301, None), Class::Failed),
            (status(302, None), Class::Failed),
            (status(400, None), Class::Failed),
            (status(404, None), Class::Failed),
            (status(410, None), Class::Gone),
            (status(429, None), Class::SlowDown),
            (status(429, Some(5000)), Class::SlowDown),
            (status(500, None), Class::Failed),
            (status(503, None), Class::Failed),
            (status(503, Some(5000)), Class::SlowDown),
            (Answer::TimedOut, Class::Failed),
            (Answer::NameFailed(text()), Class::Failed),
            (Answer::Refused(text()), Class::Failed),
            (Answer::ConnectFailed(text()), Class::Failed),
            (Answer::TlsFailed(text()), Class::Failed),
            (Answer::Broken(text()), Class::Failed),
            (Answer::Declined { ret: -1, excerpt: text() }, Class::Failed),
            (Answer::NotEchoed { code: 200 }, Class::Failed),
            (Answer::Missing, Class::Hopeless),
        ] {
            assert_eq!(answer.class(), class, "{answer:?}");
        }
    }
}
