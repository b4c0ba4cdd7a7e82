//! Pairing of calls and answers on one connection (CH-2). A pure state machine: owns which call is outstanding, which
//! answers are late, which inbound ids were seen; never a socket, never a clock: time is what has passed since the
//! connection began.
//!
//! Invariants: at most one CALL of ours is outstanding; none is sent before the charger could read our first answer; an
//! answer is told apart as expected, late or unknown, exactly once.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How many timed-out calls are remembered, so that their late answers are known. One a time-out: minutes.
const LATE_KEPT: usize = 16;

/// How many inbound calls are remembered, to tell repeats. A charger has one outstanding call; a few that do not wait.
const SEEN_KEPT: usize = 8;

/// Why no call may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Another call is outstanding.
    Outstanding,
    /// The charger has had no answer of ours yet; free at this time at the latest.
    Grace(Duration),
}

/// What an answer of the charger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// To the outstanding call.
    Expected,
    /// To a call that had timed out: still recorded (CH-2).
    Late,
    /// To no call of ours: ignored and counted.
    Unknown,
}

/// What the message id of an inbound call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Not seen lately.
    New,
    /// The same id with the same content: sent again after a lost answer (CH-7).
    Same,
    /// The same id with other content: a new message, to be flagged (CH-7).
    Reused,
}

/// One connection's pairing.
#[derive(Debug)]
pub struct CallLink {
    grace: Duration,
    outstanding: Option<(Arc<str>, Duration)>,
    late: VecDeque<Arc<str>>,
    seen: VecDeque<(u64, u64)>,
    has_answered: bool,
}

impl CallLink {
    /// A connection that begins now. After `grace` a charger that has sent nothing may be called: some do not reboot when
    /// they reconnect, and then stay silent until a heartbeat is due.
    pub fn new(grace: Duration) -> Self {
        CallLink { grace, outstanding: None, late: VecDeque::new(), seen: VecDeque::new(), has_answered: false }
    }

    /// Whether a call may be sent at `now`.
    ///
    /// # Errors
    /// Says what is waited for.
    pub fn may_call(&self, now: Duration) -> Result<(), NotYet> {
        if self.outstanding.is_some() {
            return Err(NotYet::Outstanding);
        }
        if !self.has_answered && now < self.grace {
            return Err(NotYet::Grace(self.grace));
        }
        Ok(())
    }

    /// Notes that the call `id` is being sent, and given up when it has no answer after `timeout`.
    ///
    /// # Errors
    /// As [`CallLink::may_call`]; nothing is noted then.
    pub fn begin(&mut self, id: Arc<str>, now: Duration, timeout: Duration) -> Result<(), NotYet> {
        self.may_call(now)?;
        self.late.retain(|known| *known != id);
        self.outstanding = Some((id, now + timeout));
        Ok(())
    }

    /// When the outstanding call is given up.
    pub fn deadline(&self) -> Option<Duration> {
        self.outstanding.as_ref().map(|(_, due)| *due)
    }

    /// The outstanding call, if any.
    pub fn outstanding(&self) -> Option<&Arc<str>> {
        self.outstanding.as_ref().map(|(id, _)| id)
    }

    /// Gives up the outstanding call if its time is over, and says which it was.
    pub fn expire(&mut self, now: Duration) -> Option<Arc<str>> {
        let (id, _) = self.outstanding.take_if(|(_, due)| *due <= now)?;
        if self.late.len() == LATE_KEPT {
            self.late.pop_front();
        }
        self.late.push_back(id.clone());
        Some(id)
    }

    /// Classes an answer and forgets the call that it answers.
    pub fn reply(&mut self, id: &str) -> Reply {
        if self.outstanding.take_if(|(known, _)| **known == *id).is_some() {
            return Reply::Expected;
        }
        match self.late.iter().position(|known| **known == *id) {
            Some(at) => {
                self.late.remove(at);
                Reply::Late
            }
            None => Reply::Unknown,
        }
    }

    /// Notes that one of the charger's calls has been answered: from now on it may be called.
    pub fn answered_one(&mut self) {
        self.has_answered = true;
    }

    /// Classes an inbound call by id and content, and remembers it.
    pub fn inbound(&mut self, id: &str, action: &str, payload: &str) -> Repeat {
        let (id, content) = (digest(&id), digest(&(action, payload)));
        let known = self.seen.iter().position(|(seen, _)| *seen == id).and_then(|at| self.seen.remove(at));
        if self.seen.len() == SEEN_KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back((id, content));
        match known {
            None => Repeat::New,
            Some((_, before)) if before == content => Repeat::Same,
            Some(_) => Repeat::Reused,
        }
    }
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_call_is_sent_before_the_first_answer_or_the_grace() {
        let mut link = CallLink::new(GRACE);
        assert_eq!(link.may_call(at(0)), Err(NotYet::Grace(at(10))));
        assert_eq!(link.may_call(at(10)), Ok(()));
        link.answered_one();
        assert_eq!(link.may_call(at(0)), Ok(()));
    }

    #[test]
    fn one_call_is_outstanding_at_a_time() {
        let mut link = CallLink::new(GRACE);
        link.answered_one();
        assert_eq!(link.begin("a".into(), at(0), TIMEOUT), Ok(()));
        assert_eq!(link.begin("b".into(), at(1), TIMEOUT), Err(NotYet::Outstanding));
        assert_eq!(link.reply("b"), Reply::Unknown);
        assert_eq!(link.reply("a"), Reply::Expected);
        assert_eq!(link.reply("a"), Reply::Unknown);
        assert_eq!(link.begin("b".into(), at(1), TIMEOUT), Ok(()));
    }

    #[test]
    fn a_late_answer_is_known_once() {
        let mut link = CallLink::new(GRACE);
        link.answered_one();
        assert_eq!(link.begin("a".into(), at(5), TIMEOUT), Ok(()));
        assert_eq!(link.deadline(), Some(at(35)));
        assert_eq!(link.expire(at(34)), None);
        assert_eq!(link.expire(at(35)).as_deref(), Some("a"));
        assert_eq!(link.may_call(at(35)), Ok(()));
        assert_eq!(link.reply("a"), Reply::Late);
        assert_eq!(link.reply("a"), Reply::Unknown);
    }

    #[test]
    fn memory_of_late_and_seen_ids_is_bounded() {
        let mut link = CallLink::new(GRACE);
        link.answered_one();
        for n in 0..100 {
            let id: Arc<str> = format!("{n}").into();
            assert_eq!(link.begin(id, at(0), TIMEOUT), Ok(()));
            assert!(link.expire(at(30)).is_some());
            assert_eq!(link.inbound(&n.to_string(), "Heartbeat", "{}"), Repeat::New);
        }
        assert_eq!((link.late.len(), link.seen.len()), (LATE_KEPT, SEEN_KEPT));
        assert_eq!((link.reply("99"), link.reply("0")), (Reply::Late, Reply::Unknown));
    }

    #[test]
    fn a_repeat_is_told_from_a_reused_id() {
        let mut link = CallLink::new(GRACE);
        assert_eq!(link.inbound("1", "StartTransaction", "{1}"), Repeat::New);
        assert_eq!(link.inbound("1", "StartTransaction", "{1}"), Repeat::Same);
        assert_eq!(link.inbound("1", "StartTransaction", "{2}"), Repeat::Reused);
        assert_eq!(link.inbound("1", "StopTransaction", "{2}"), Repeat::Reused);
    }
}
