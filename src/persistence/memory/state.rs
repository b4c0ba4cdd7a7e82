//! What the memory journal holds, behind all its handles. Owns the promises of the trait as plain maps.

use crate::clock::Timestamp;
use crate::ids::PartnerId;
use crate::persistence::sled::event_id;
use crate::persistence::{
    Append, AppendError, Appended, Claimed, CreateOnce, JournalError, OutboxEntry, Record, Snapshot, StoredRow,
    StreamName, StreamSummary, Token,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::time::Duration;

#[derive(Default, Clone)]
pub(super) struct Held {
    claim: u64,
    last: u64,
    live: bool,
    snapshot: Option<Snapshot>,
    /// Those that no snapshot covers.
    pub(super) records: Vec<Record>,
    /// The sequence of every record id ever stored: memory is cheap in a test.
    ids: HashMap<u128, u64>,
}

#[derive(Clone)]
pub(super) struct State {
    epoch: u64,
    claims: u64,
    positions: u64,
    pub(super) streams: BTreeMap<StreamName, Held>,
    pub(super) rows: BTreeMap<(String, String), Vec<u8>>,
    outbox: BTreeMap<(PartnerId, u64), OutboxEntry>,
    pub(super) once: HashMap<String, (Timestamp, Vec<u8>)>,
    pub(super) corrupt: HashSet<(StreamName, u64)>,
    pub(super) alive: Option<Timestamp>,
}

impl State {
    pub(super) fn new(epoch: u64) -> Self {
        State {
            epoch,
            claims: 0,
            positions: 0,
            streams: BTreeMap::new(),
            rows: BTreeMap::new(),
            outbox: BTreeMap::new(),
            once: HashMap::new(),
            corrupt: HashSet::new(),
            alive: None,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tokens end with their process. Gives when the last one lived.
    pub(super) fn next_process(&mut self) -> Option<Timestamp> {
        self.streams.values_mut().for_each(|held| held.claim = 0);
        self.alive
    }

    pub(super) fn claim(&mut self, stream: &StreamName) -> Result<Claimed, JournalError> {
        self.claims += 1;
        let held = self.streams.entry(stream.clone()).or_default();
        held.claim = self.claims;
        let bad = held.records.iter().find(|record| self.corrupt.contains(&(stream.clone(), record.sequence)));
        if let Some(record) = bad {
            let key = format!("{stream}/{}", record.sequence);
            return Err(JournalError::Corrupt { key, why: "checksum mismatch".into() });
        }
        Ok(Claimed {
            token: Token { stream: stream.clone(), claim: self.claims },
            snapshot: held.snapshot.clone(),
            records: held.records.clone(),
            sequence: held.last,
        })
    }

    pub(super) fn append(&mut self, token: &Token, append: Append, advice: u64) -> Result<Appended, AppendError> {
        let Some(held) = self.streams.get_mut(&token.stream) else { return Err(AppendError::Fenced) };
        let Some(last) = append.records.last() else { return Err(AppendError::Full) };
        if held.claim != token.claim {
            return Err(AppendError::Fenced);
        }
        if let Some(sequence) = held.ids.get(&last.id) {
            return Ok(Appended { sequence: *sequence, snapshot_advised: false });
        }
        if held.last != append.after {
            return Err(AppendError::Fenced);
        }
        for record in append.records {
            held.last += 1;
            for (index, notice) in record.notices.into_iter().enumerate() {
                self.positions += 1;
                let id = event_id(self.epoch, token.stream.as_str(), held.last, index);
                let key = (notice.partner.clone(), self.positions);
                self.outbox.insert(key, OutboxEntry { position: self.positions, id, notice });
            }
            held.ids.insert(record.id, held.last);
            held.records.push(Record { sequence: held.last, at: record.at, id: record.id, body: record.body });
        }
        let snapshot_advised = held.records.len() as u64 >= advice;
        let appended = Appended { sequence: held.last, snapshot_advised };
        for row in append.rows {
            let key = (row.table.to_owned(), row.key);
            match row.value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
        Ok(appended)
    }

    pub(super) fn resolve(&self, token: &Token, id: u128) -> Result<bool, JournalError> {
        match self.streams.get(&token.stream) {
            Some(held) if held.claim == token.claim => Ok(held.ids.contains_key(&id)),
            Some(_) | None => Err(JournalError::Fenced),
        }
    }

    pub(super) fn snapshot(&mut self, token: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError> {
        let Some(held) = self.streams.get_mut(&token.stream) else { return Err(JournalError::Fenced) };
        let older = held.snapshot.as_ref().is_some_and(|there| there.sequence > snapshot.sequence);
        if held.claim != token.claim || snapshot.sequence > held.last || older {
            return Err(JournalError::Fenced);
        }
        held.records.retain(|record| record.sequence > snapshot.sequence);
        (held.live, held.snapshot) = (live, Some(snapshot));
        Ok(())
    }

    pub(super) fn summaries(&self, family: &str) -> Vec<StreamSummary> {
        let of_family = self.streams.iter().filter(|(name, held)| name.family() == family && held.last > 0);
        let summary = |(name, held): (&StreamName, &Held)| StreamSummary {
            stream: name.clone(),
            live: held.live || !held.records.is_empty(),
        };
        of_family.map(summary).collect()
    }

    pub(super) fn lagging(&self, advice: u64, limit: usize) -> Vec<StreamName> {
        let behind = self.streams.iter().filter(|(_, held)| held.records.len() as u64 >= advice);
        behind.take(limit).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn create_once(&mut self, key: &str, value: &[u8], now: Timestamp, ttl: Duration) -> CreateOnce {
        if let Some(first) = self.lookup_once(key, now) {
            return CreateOnce::Exists(first);
        }
        self.once.insert(key.to_owned(), (now + ttl, value.to_vec()));
        CreateOnce::Created
    }

    pub(super) fn lookup_once(&self, key: &str, now: Timestamp) -> Option<Vec<u8>> {
        self.once.get(key).filter(|(expires, _)| *expires > now).map(|(_, value)| value.clone())
    }

    pub(super) fn rows(&self, table: &str, prefix: &str, after: Option<&str>, limit: usize) -> Vec<StoredRow> {
        let at = |key: &str| (table.to_owned(), key.to_owned());
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(at(after)),
            Some(_) | None => Bound::Included(at(prefix)),
        };
        let found = self.rows.range((from, Bound::Unbounded));
        let found = found.take_while(|((its, key), _)| its == table && key.starts_with(prefix)).take(limit);
        found.map(|((_, key), value)| StoredRow { key: key.clone(), value: value.clone() }).collect()
    }

    pub(super) fn outbox(&self, partner: &PartnerId, position: u64, limit: usize) -> Vec<OutboxEntry> {
        let from = (partner.clone(), position.saturating_add(1));
        let to = (partner.clone(), u64::MAX);
        self.outbox.range(from..=to).take(limit).map(|(_, entry)| entry.clone()).collect()
    }
}
