//! A partner's partition for tests: decides, applies, projects and runs siblings, as the engine does, in memory.

use super::*;
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Family, Notice, Row};
use std::collections::BTreeMap;

/// What a step left behind.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) reply: PartnerReply,
    pub(crate) effects: Vec<PartnerEffect>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) events: Vec<(PartnerKey, PartnerEvent)>,
}

/// The durable side of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) states: BTreeMap<PartnerKey, PartnerState>,
    pub(crate) rows: BTreeMap<(&'static str, String), Vec<u8>>,
    pub(crate) sequence: u64,
}

impl Partition {
    pub(crate) fn new() -> Self {
        let policy = Policy { jitter: 0.0, ..Policy::default() };
        Partition { name: "acme".into(), policy, states: BTreeMap::new(), rows: BTreeMap::new(), sequence: 0 }
    }

    pub(crate) fn step(
        &mut self,
        key: PartnerKey,
        command: PartnerCommand,
        now: Timestamp,
    ) -> Result<Stepped, PartnerRejection> {
        let mut copy = self.states.clone();
        let mut work = vec![(key, command)];
        let mut first = None;
        let (mut effects, mut notices, mut events, mut rows) = (vec![], vec![], vec![], Vec::<Row>::new());
        let sequence = self.sequence + 1;
        while let Some((key, command)) = work.pop() {
            let state = copy.entry(key).or_insert_with(|| PartnerFamily::birth(&key));
            let entropy = u128::from(sequence) * 0x9E37_79B9_7F4A_7C15;
            let context = Context { now, partition: &self.name, sequence, entropy, ambient: &self.policy };
            let decision = PartnerFamily::decide(&key, state, command, &context)?;
            for event in &decision.events {
                // What is journaled must read back as it was.
                let text = serde_json::to_string(event).unwrap();
                assert_eq!(&serde_json::from_str::<PartnerEvent>(&text).unwrap(), event);
                PartnerFamily::apply(state, event);
            }
            rows.extend(PartnerFamily::project(&self.name, &key, state, &decision.events));
            events.extend(decision.events.into_iter().map(|event| (key, event)));
            effects.extend(decision.effects);
            notices.extend(decision.notices);
            work.extend(decision.also);
            first.get_or_insert(decision.reply);
        }
        for row in rows {
            match row.value {
                Some(value) => self.rows.insert((row.table, row.key), value),
                None => self.rows.remove(&(row.table, row.key)),
            };
        }
        self.states = copy;
        self.sequence += u64::from(!events.is_empty());
        Ok(Stepped { reply: first.unwrap(), effects, notices, events })
    }

    pub(crate) fn order(&mut self, order: PartnerOrder, now: i64) -> Result<Stepped, PartnerRejection> {
        self.step(PartnerKey::Partner, PartnerCommand::Partner(order), Timestamp(now))
    }

    pub(crate) fn ask(&mut self, command: QueueCommand, now: Timestamp) -> Result<Stepped, PartnerRejection> {
        self.ask_queue(QueueId::MAIN, command, now)
    }

    pub(crate) fn ask_queue(
        &mut self,
        id: QueueId,
        command: QueueCommand,
        now: Timestamp,
    ) -> Result<Stepped, PartnerRejection> {
        self.step(PartnerKey::Queue(id), PartnerCommand::Queue(command), now)
    }

    pub(crate) fn partner(&self) -> Partner {
        match self.states.get(&PartnerKey::Partner) {
            Some(PartnerState::Partner(partner)) => (**partner).clone(),
            Some(_) | None => Partner::default(),
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        self.queue_of(QueueId::MAIN)
    }

    pub(crate) fn queue_of(&self, id: QueueId) -> Queue {
        match self.states.get(&PartnerKey::Queue(id)) {
            Some(PartnerState::Queue(queue)) => (**queue).clone(),
            Some(_) | None => Queue::default(),
        }
    }

    /// Journals a report and gives the verdicts.
    pub(crate) fn report(&mut self, report: Report, now: Timestamp) -> Reported {
        match self.ask(QueueCommand::Report(report), now).unwrap().reply {
            PartnerReply::Queue(QueueReply::Reported(reported)) => reported,
            other => panic!("{other:?}"),
        }
    }
}

/// An event of a session.
pub(crate) fn entry(position: u64, order_key: &str) -> Entry {
    Entry {
        position,
        event_id: format!("evt_{position}").into(),
        order_key: order_key.into(),
        kind: "session.progress".into(),
        sequenced: true,
        at: Timestamp(i64::try_from(position).unwrap()),
    }
}

/// A connector's status.
pub(crate) fn status(position: u64, order_key: &str) -> Entry {
    Entry { kind: "connector.status".into(), sequenced: false, ..entry(position, order_key) }
}

/// An HTTP answer.
pub(crate) fn http(code: u16) -> Answer {
    Answer::Status { code, retry_after_ms: None, excerpt: String::new() }
}

/// A finished try.
pub(crate) fn tried(entry: &Entry, now: Timestamp, answer: Answer) -> Attempt {
    Attempt { entry: entry.clone(), replayed: false, started: now, took_ms: 5, answer, waits: None }
}
