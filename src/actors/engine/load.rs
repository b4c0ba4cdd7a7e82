//! From the journal into memory: claiming a partition, folding its records, rebuilding one entity that failed, and
//! releasing one from quarantine. Owns the restart decision (RT-2).

use super::codec;
use super::host::HostCore;
use super::messages::Retire;
use super::partition::{Environment, Health, Inner, Partition, Repair};
use super::restarts::{RestartBudget, Verdict};
use super::settle::deadlines_of;
use super::slots::{Slot, Slots};
use super::turn::panic_text;
use crate::domain::entity::{Family, Standing};
use crate::persistence::{Claimed, JournalError, StreamName};
use crate::telemetry::metrics::engine as metrics;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

/// Why a partition cannot be brought into memory.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The store cannot give it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read by this build.
    #[error("record {sequence} of {stream}: {why}")]
    Unreadable {
        /// The stream.
        stream: StreamName,
        /// The record's place; 0 for the snapshot.
        sequence: u64,
        /// What is wrong.
        why: String,
    },
}

/// The fold of a stream: the states, and the entities whose fold panicked.
struct Folded<F: Family> {
    states: BTreeMap<F::Key, F::State>,
    poisoned: BTreeMap<F::Key, String>,
}

fn fold<F: Family>(stream: &StreamName, claimed: &Claimed) -> Result<Folded<F>, LoadError> {
    let unreadable = |sequence, why: codec::CodecError| LoadError::Unreadable {
        stream: stream.clone(),
        sequence,
        why: why.to_string(),
    };
    let mut folded = Folded::<F> { states: BTreeMap::new(), poisoned: BTreeMap::new() };
    if let Some(snapshot) = &claimed.snapshot {
        folded.states.extend(codec::read_states::<F>(&snapshot.state).map_err(|why| unreadable(0, why))?);
    }
    for record in &claimed.records {
        let events = codec::read_step::<F>(&record.body).map_err(|why| unreadable(record.sequence, why))?;
        for (key, events) in events {
            if folded.poisoned.contains_key(&key) {
                continue;
            }
            let state = folded.states.entry(key.clone()).or_insert_with(|| F::birth(&key));
            let applied = catch_unwind(AssertUnwindSafe(|| {
                fault_point!("engine.fold", &format!("{}/{} {key}", F::NAME, stream.partition()));
                events.iter().for_each(|event| F::apply(state, event));
            }));
            if let Err(panic) = applied {
                let cause = format!("record {}: {}", record.sequence, panic_text(&*panic));
                folded.poisoned.insert(key, cause);
            }
        }
    }
    folded.states.retain(|key, state| *key == F::root() || F::standing(state) != Standing::Ended);
    Ok(folded)
}

impl<F: Family> Partition<F> {
    /// Claims a stream and brings its entities into memory. A record that panics in a rule quarantines its entity and
    /// nobody else.
    ///
    /// # Errors
    /// When the store cannot give the stream, or this build cannot read it.
    pub(super) async fn load(
        env: &Rc<Environment<F>>,
        host: Weak<HostCore<F>>,
        stream: StreamName,
    ) -> Result<Rc<Self>, LoadError> {
        let claimed = env.journal.claim(&stream).await?;
        let partition = Self::build(env, host, stream, claimed)?;
        partition.start_actors();
        Ok(partition)
    }

    /// Brings a claimed stream's entities into memory, as [`Partition::load`], but for their actors.
    ///
    /// # Errors
    /// When this build cannot read the stream.
    pub(super) fn build(
        env: &Rc<Environment<F>>,
        host: Weak<HostCore<F>>,
        stream: StreamName,
        claimed: Claimed,
    ) -> Result<Rc<Self>, LoadError> {
        let mut folded = fold::<F>(&stream, &claimed)?;
        if folded.states.is_empty() {
            folded.states.insert(F::root(), F::birth(&F::root()));
        }
        let mut inner = Inner {
            token: claimed.token,
            sequence: claimed.sequence,
            slots: Slots::default(),
            health: BTreeMap::new(),
            queue: VecDeque::new(),
            since_snapshot: u32::try_from(claimed.records.len()).unwrap_or(u32::MAX),
        };
        for (key, state) in folded.states {
            let deadlines = deadlines_of::<F>(&state);
            inner.slots.insert(key, Slot::new(state, deadlines));
        }
        let partition = Rc::new(Partition {
            stream,
            env: Rc::clone(env),
            host,
            inner: RefCell::new(inner),
            ambient: RefCell::default(),
            busy: Cell::new(false),
            snapshotting: Cell::new(false),
            closed: Cell::new(false),
            touched: Cell::new(env.clock.now()),
        });
        for (key, cause) in folded.poisoned {
            partition.quarantine_entity(&key, &cause);
        }
        for key in partition.keys() {
            if let Some(state) = partition.state(&key) {
                env.shell.applied(&partition, &key, &state);
            }
        }
        Ok(partition)
    }

    /// Starts the actors of the entities in memory that have none.
    pub(super) fn start_actors(self: &Rc<Self>) {
        let without: Vec<F::Key> = {
            let inner = self.inner.borrow();
            inner.slots.iter().filter(|(_, slot)| slot.actor.is_none()).map(|(key, _)| key.clone()).collect()
        };
        without.iter().for_each(|key| self.start_actor(key));
    }

    pub(super) async fn repair(self: &Rc<Self>, repair: Repair<F>) {
        match repair {
            Repair::Rebuild(key, cause) => self.rebuild(&key, &cause).await,
            Repair::Release(key, done) => {
                let outcome = self.reload(&key).await;
                let was = outcome.is_ok().then(|| self.inner.borrow_mut().health.remove(&key)).flatten();
                if was.is_some_and(|health| health.quarantined.is_some()) {
                    metrics::QUARANTINED.shift(-1.0, [F::NAME]);
                }
                // Whoever asked may have gone.
                let _ = done.send(outcome);
            }
        }
    }

    /// An entity's rule has panicked, or what follows from its step: its state in memory is dropped and rebuilt from the
    /// journal, or left alone.
    pub(super) async fn rebuild(self: &Rc<Self>, key: &F::Key, cause: &str) {
        tracing::error!(stream = %self.stream, %key, cause, "a rule has failed; its actor is rebuilt from the journal");
        if self.judge(key) == Verdict::Quarantine {
            self.quarantine_entity(key, cause);
            return;
        }
        self.stop_actor(key);
        metrics::RESTARTS.add(1, [F::NAME]);
        if let Err(why) = self.reload(key).await {
            self.quarantine_entity(key, &why);
        }
    }

    async fn reload(self: &Rc<Self>, key: &F::Key) -> Result<(), String> {
        let claimed = self.env.journal.claim(&self.stream).await.map_err(|error| error.to_string())?;
        let mut folded = fold::<F>(&self.stream, &claimed).map_err(|error| error.to_string())?;
        if let Some(cause) = folded.poisoned.remove(key) {
            return Err(cause);
        }
        {
            let mut inner = self.inner.borrow_mut();
            inner.token = claimed.token;
            inner.sequence = claimed.sequence;
            inner.slots.remove(key);
            let state = match folded.states.remove(key) {
                Some(state) => state,
                None if *key == F::root() => F::birth(key),
                // It was never stored: there is nothing to rebuild.
                None => return Ok(()),
            };
            let deadlines = deadlines_of::<F>(&state);
            inner.slots.insert(key.clone(), Slot::new(state, deadlines));
        }
        self.start_actor(key);
        Ok(())
    }

    fn judge(&self, key: &F::Key) -> Verdict {
        let now = self.env.clock.now();
        let limits = &self.env.limits;
        // A poisoned lock only means that another thread panicked while counting; the count is still good.
        let process = self.env.process_restarts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).record(now);
        let mut inner = self.inner.borrow_mut();
        let health = inner.health.entry(key.clone()).or_insert_with(|| Health {
            budget: RestartBudget::new(limits.restarts, limits.restart_window),
            quarantined: None,
        });
        match (health.budget.record(now), process) {
            (Verdict::Restart, Verdict::Restart) => Verdict::Restart,
            (Verdict::Quarantine, _) | (_, Verdict::Quarantine) => Verdict::Quarantine,
        }
    }

    fn quarantine_entity(self: &Rc<Self>, key: &F::Key, cause: &str) {
        {
            let mut inner = self.inner.borrow_mut();
            let limits = &self.env.limits;
            let health = inner.health.entry(key.clone()).or_insert_with(|| Health {
                budget: RestartBudget::new(limits.restarts, limits.restart_window),
                quarantined: None,
            });
            health.quarantined = Some(cause.to_owned());
        }
        self.stop_actor(key);
        metrics::QUARANTINED.shift(1.0, [F::NAME]);
        tracing::error!(stream = %self.stream, %key, cause, "quarantined: a person must look at it");
        self.env.shell.quarantined(&self.stream, key, cause);
    }

    fn stop_actor(&self, key: &F::Key) {
        let actor = self.inner.borrow_mut().slots.get_mut(key).and_then(|slot| slot.actor.take());
        if let Some(actor) = actor {
            metrics::ACTORS.shift(-1.0, [F::NAME]);
            // Its senders see a closed mailbox either way.
            let _ = actor.try_send(Retire);
        }
    }
}
