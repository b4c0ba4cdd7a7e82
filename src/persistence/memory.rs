//! temporary
use super::*;
use crate::clock::SharedClock;
use crate::ids::PartnerId;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Unavailable,
    Full,
    UnknownStored,
    UnknownLost,
}
#[derive(Default, Clone)]
struct S {
    claim: u64,
    snap: Option<(Snapshot, bool)>,
    recs: Vec<Record>,
}
#[derive(Default)]
struct Inner {
    streams: BTreeMap<StreamName, S>,
    rows: BTreeMap<(String, String), Vec<u8>>,
    out: Vec<OutboxEntry>,
    once: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
}
pub struct MemoryJournal {
    inner: Mutex<Inner>,
    clock: SharedClock,
}
impl MemoryJournal {
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { inner: Default::default(), clock })
    }
    pub fn fail_next(&self, f: Fault) {
        self.inner.lock().unwrap().faults.push(f)
    }
    pub fn crash(&self) {}
    pub fn plant(&self, stream: &str, body: &[u8]) {
        let mut g = self.inner.lock().unwrap();
        let (f, p) = stream.split_once('/').unwrap();
        let s = g.streams.get_mut(&StreamName::new(f, p)).unwrap();
        let sequence = s.recs.last().map_or(s.snap.as_ref().map_or(0, |s| s.0.sequence), |r| r.sequence) + 1;
        s.recs.push(Record { sequence, at: self.clock.now(), id: 99, body: body.to_vec() });
    }
}
#[async_trait]
impl Journal for MemoryJournal {
    async fn claim(&self, stream: &StreamName) -> Result<Claimed, JournalError> {
        let mut g = self.inner.lock().unwrap();
        let s = g.streams.entry(stream.clone()).or_default();
        s.claim += 1;
        let snap = s.snap.clone().map(|s| s.0);
        let up = snap.as_ref().map_or(0, |s| s.sequence);
        Ok(Claimed {
            token: Token { stream: stream.clone(), claim: s.claim },
            sequence: s.recs.last().map_or(up, |r| r.sequence),
            records: s.recs.iter().filter(|r| r.sequence > up).cloned().collect(),
            snapshot: snap,
        })
    }
    async fn append(&self, t: &Token, a: Append) -> Result<Appended, AppendError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut g = self.inner.lock().unwrap();
        let fault = if g.faults.is_empty() { None } else { Some(g.faults.remove(0)) };
        match fault {
            Some(Fault::Unavailable) => return Err(AppendError::Unavailable(Duration::from_secs(1))),
            Some(Fault::Full) => return Err(AppendError::Full),
            Some(Fault::UnknownLost) => return Err(AppendError::Unknown("x".into())),
            _ => {}
        }
        let g = &mut *g;
        let s = g.streams.entry(t.stream.clone()).or_default();
        let last = s.recs.last().map_or(0, |r| r.sequence);
        if s.claim != t.claim || last != a.after {
            return Err(AppendError::Fenced);
        }
        let mut seq = a.after;
        for r in a.records {
            seq += 1;
            for (i, n) in r.notices.into_iter().enumerate() {
                let position = g.out.len() as u64 + 1;
                g.out.push(OutboxEntry {
                    position,
                    id: format!("evt_1-{}-{seq}-{i}", t.stream.partition()),
                    notice: n,
                });
            }
            s.recs.push(Record { sequence: seq, at: r.at, id: r.id, body: r.body });
        }
        for r in a.rows {
            match r.value {
                Some(v) => {
                    g.rows.insert((r.table.into(), r.key), v);
                }
                None => {
                    g.rows.remove(&(r.table.to_string(), r.key));
                }
            }
        }
        if matches!(fault, Some(Fault::UnknownStored)) {
            return Err(AppendError::Unknown("x".into()));
        }
        Ok(Appended { sequence: seq, snapshot_advised: false })
    }
    async fn resolve(&self, t: &Token, id: u128) -> Result<bool, JournalError> {
        Ok(self.inner.lock().unwrap().streams.get(&t.stream).is_some_and(|s| s.recs.iter().any(|r| r.id == id)))
    }
    async fn snapshot(&self, t: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError> {
        let mut g = self.inner.lock().unwrap();
        let s = g.streams.get_mut(&t.stream).unwrap();
        if s.claim != t.claim {
            return Err(JournalError::Fenced);
        }
        s.snap = Some((snapshot, live));
        Ok(())
    }
    async fn streams(&self, f: &str) -> Result<Vec<StreamSummary>, JournalError> {
        Ok(self
            .inner
            .lock()
            .unwrap()
            .streams
            .keys()
            .filter(|s| s.family() == f)
            .map(|s| StreamSummary { stream: s.clone(), live: true })
            .collect())
    }
    async fn create_once(&self, k: &str, v: &[u8], _: Duration) -> Result<CreateOnce, JournalError> {
        let mut g = self.inner.lock().unwrap();
        if let Some(o) = g.once.get(k) {
            return Ok(CreateOnce::Exists(o.clone()));
        }
        g.once.insert(k.into(), v.to_vec());
        Ok(CreateOnce::Created)
    }
    async fn lookup_once(&self, k: &str) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.inner.lock().unwrap().once.get(k).cloned())
    }
    async fn remove_once(&self, k: &str) -> Result<(), JournalError> {
        self.inner.lock().unwrap().once.remove(k);
        Ok(())
    }
    async fn row(&self, t: &str, k: &str) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.inner.lock().unwrap().rows.get(&(t.into(), k.into())).cloned())
    }
    async fn rows(&self, t: &str, p: &str, a: Option<&str>, l: usize) -> Result<Vec<StoredRow>, JournalError> {
        Ok(self
            .inner
            .lock()
            .unwrap()
            .rows
            .iter()
            .filter(|((tt, k), _)| tt == t && k.starts_with(p) && a.is_none_or(|a| k.as_str() > a))
            .take(l)
            .map(|((_, k), v)| StoredRow { key: k.clone(), value: v.clone() })
            .collect())
    }
    async fn outbox(&self, p: &PartnerId, pos: u64, l: usize) -> Result<Vec<OutboxEntry>, JournalError> {
        Ok(self
            .inner
            .lock()
            .unwrap()
            .out
            .iter()
            .filter(|e| e.position > pos && e.notice.partner == *p)
            .take(l)
            .cloned()
            .collect())
    }
    fn is_full(&self) -> bool {
        false
    }
    fn downtime(&self) -> Duration {
        Duration::ZERO
    }
}
