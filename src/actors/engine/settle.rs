//! After the decision: append, and once durable commit the working copy, perform, answer, snapshot. Owns the third
//! outcome of an append (unknown), and what a lost token means.

use super::entity::EntityActor;
use super::messages::{Refusal, Retire};
use super::partition::{Partition, Turn};
use super::slots::{Deadlines, Slot};
use super::{codec, turn};
use crate::domain::entity::{Family, Standing};
use crate::persistence::{AppendError, Snapshot};
use crate::telemetry::metrics::engine as metrics;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// How a turn failed for everybody in it.
#[derive(Clone, Copy)]
enum Lost {
    Full,
    Unavailable(Duration),
}

/// What is left of a turn whose records are durable and that then panicked on the way to its answers.
pub(super) struct Broken<F: Family> {
    /// The entities that it changed.
    pub(super) keys: Vec<F::Key>,
    /// What the panic said.
    pub(super) cause: String,
}

impl<F: Family> Partition<F> {
    pub(super) async fn append_and_settle(self: &Rc<Self>, mut turn: Box<Turn<F>>) -> Option<Broken<F>> {
        let append = turn.take_append();
        let records = append.records.len() as u64;
        let last = append.records.last().map(|record| record.id);
        let token = self.inner.borrow().token.clone();
        metrics::RECORDS_A_TURN.record(records as f64, [F::NAME]);
        let lost = match self.env.journal.append(&token, append).await {
            Ok(appended) => return self.stored(*turn, records, appended.snapshot_advised),
            Err(AppendError::Full) => Lost::Full,
            Err(AppendError::Unavailable(after)) => Lost::Unavailable(after),
            Err(AppendError::Fenced) => {
                tracing::error!(stream = %self.stream, "another writer owns the stream; this one stops");
                self.close("fenced");
                Lost::Unavailable(self.env.limits.retry_after)
            }
            Err(AppendError::Unknown(why)) => match self.env.journal.resolve(&token, last.unwrap_or(0)).await {
                Ok(true) => return self.stored(*turn, records, false),
                Ok(false) => Lost::Unavailable(self.env.limits.retry_after),
                Err(error) => {
                    tracing::error!(stream = %self.stream, why, %error, "an append's outcome cannot be told");
                    self.close("unknown");
                    Lost::Unavailable(self.env.limits.retry_after)
                }
            },
        };
        metrics::APPENDS_LOST.add(1, [F::NAME]);
        for answer in turn.answers {
            let refusal = match (answer.outcome, lost) {
                (Err(refusal), _) => refusal,
                (Ok(_), Lost::Full) => Refusal::Full,
                (Ok(_), Lost::Unavailable(after)) => Refusal::Unavailable(after),
            };
            // Whoever asked may have gone.
            let _ = answer.reply.send(Err(refusal));
        }
        None
    }

    fn stored(self: &Rc<Self>, turn: Turn<F>, records: u64, snapshot_advised: bool) -> Option<Broken<F>> {
        {
            let mut inner = self.inner.borrow_mut();
            inner.sequence += records;
            inner.since_snapshot = inner.since_snapshot.saturating_add(u32::try_from(records).unwrap_or(u32::MAX));
        }
        let broken = self.settle(turn);
        let due = self.inner.borrow().since_snapshot >= self.env.limits.snapshot_every;
        // What is in memory may be half a step: no snapshot of that.
        if (due || snapshot_advised) && broken.is_none() {
            self.snapshot_soon();
        }
        broken
    }

    /// Commits the working copy, performs the effects, answers. A panic on the way costs effects alone: what was decided is durable,
    /// so everybody is told so. Another answer would be false: a start refused for now that has become a session.
    pub(super) fn settle(self: &Rc<Self>, mut turn: Turn<F>) -> Option<Broken<F>> {
        let keys = turn.working.iter().map(|(key, _)| key.clone()).collect();
        let (answers, partners) = (std::mem::take(&mut turn.answers), std::mem::take(&mut turn.partners));
        let performed = catch_unwind(AssertUnwindSafe(|| self.perform(turn)));
        // The log has told of the step before its partner can have been told. Nobody else wakes that partner's queue.
        let noticed = catch_unwind(AssertUnwindSafe(|| {
            if !partners.is_empty() {
                self.env.shell.noticed(&partners);
            }
        }));
        for answer in answers {
            // Whoever asked may have gone; the fact stands.
            let _ = answer.reply.send(answer.outcome);
        }
        let cause = turn::panic_text(&*performed.and(noticed).err()?);
        tracing::error!(stream = %self.stream, cause, "a step was stored, and what follows from it has failed");
        metrics::STEPS.add(1, [F::NAME, "broken"]);
        Some(Broken { keys, cause })
    }

    fn perform(self: &Rc<Self>, turn: Turn<F>) {
        if !turn.working.is_empty() {
            fault_point!("engine.stored", self.stream.as_str());
        }
        let shell = Rc::clone(&self.env.shell);
        let changed: Vec<F::Key> = turn.working.iter().map(|(key, _)| key.clone()).collect();
        for (key, state) in turn.working {
            self.commit(key, state);
        }
        for key in &changed {
            if let Some(state) = self.state(key) {
                shell.applied(self, key, &state);
            }
        }
        for (key, events, span) in turn.recorded {
            let _entered = span.entered();
            shell.recorded(self, &key, &events);
        }
        for (key, effect, span) in turn.effects {
            let _entered = span.entered();
            shell.perform(self, &key, effect);
        }
        for key in &changed {
            self.retire_if_over(key);
        }
    }

    fn commit(self: &Rc<Self>, key: F::Key, state: F::State) {
        let deadlines = deadlines_of::<F>(&state);
        let mut inner = self.inner.borrow_mut();
        match inner.slots.get_mut(&key) {
            Some(slot) => {
                slot.state = state;
                if slot.deadlines != deadlines {
                    slot.deadlines = deadlines;
                    slot.rearm.tell();
                }
            }
            None => {
                inner.slots.insert(key.clone(), Slot::new(state, deadlines));
                drop(inner);
                self.start_actor(&key);
            }
        }
    }

    /// Starts the actor of an entity that is in memory.
    pub(super) fn start_actor(self: &Rc<Self>, key: &F::Key) {
        let actor = EntityActor::start_for(self, key.clone());
        if let Some(slot) = self.inner.borrow_mut().slots.get_mut(key) {
            slot.actor = Some(actor);
            metrics::ACTORS.shift(1.0, [F::NAME]);
        }
    }

    fn retire_if_over(self: &Rc<Self>, key: &F::Key) {
        let over = self.state(key).is_some_and(|state| F::standing(&state) == Standing::Ended);
        if over && *key != F::root() {
            self.drop_slot(key);
        }
    }

    /// Takes an entity out of memory.
    pub(super) fn drop_slot(&self, key: &F::Key) {
        let slot = self.inner.borrow_mut().slots.remove(key);
        if let Some(actor) = slot.and_then(|slot| slot.actor) {
            metrics::ACTORS.shift(-1.0, [F::NAME]);
            // A full mailbox is one whose senders get `Closed` when the actor's last address is dropped.
            let _ = actor.try_send(Retire);
        }
    }

    /// Stops deciding here: the token is lost, or the partition leaves memory.
    pub(super) fn close(&self, cause: &'static str) {
        if !self.closed.replace(true) {
            metrics::PARTITIONS_CLOSED.add(1, [F::NAME, cause]);
        }
        let keys = self.keys();
        keys.iter().for_each(|key| self.drop_slot(key));
        // Steps that still wait are dropped: their senders read that as unavailable.
        self.inner.borrow_mut().queue.clear();
        if let Some(host) = self.host.upgrade() {
            host.forget(self);
        }
    }

    /// Writes a snapshot if nobody has touched it for a while, so that neither the journal's index nor the next start has
    /// its records to keep; then leaves memory if nothing is open and nothing holds it. It comes back when touched.
    pub(super) async fn leave_if_idle(self: &Rc<Self>) {
        if !self.is_quiet() {
            return;
        }
        let covered = self.inner.borrow().since_snapshot == 0 || self.write_snapshot().await;
        // Somebody may have come while the snapshot was written.
        let free = self.is_quiet() && !self.is_open() && !self.env.shell.pinned(self);
        if covered && free && self.inner.borrow().since_snapshot == 0 {
            self.close("idle");
        }
    }

    fn is_quiet(&self) -> bool {
        let inner = self.inner.borrow();
        self.env.clock.now().since(self.touched.get()) >= self.env.limits.idle_after
            && !self.busy.get()
            && inner.queue.is_empty()
            && inner.health.is_empty()
    }

    fn is_open(&self) -> bool {
        self.inner.borrow().slots.iter().any(|(_, slot)| F::standing(&slot.state) == Standing::Open)
    }

    /// Writes a snapshot beside the ordinary work, one at a time.
    pub(super) fn snapshot_soon(self: &Rc<Self>) {
        if self.snapshotting.replace(true) {
            return;
        }
        let partition = Rc::clone(self);
        actix_rt::spawn(async move {
            partition.write_snapshot().await;
            partition.snapshotting.set(false);
        });
    }

    /// Writes the committed states as a snapshot. `false`: not written; the records stay.
    pub(super) async fn write_snapshot(&self) -> bool {
        let (token, snapshot, live, covered) = {
            let inner = self.inner.borrow();
            let states: Vec<(&F::Key, &F::State)> = inner.slots.iter().map(|(key, slot)| (key, &slot.state)).collect();
            let live = states.iter().any(|(_, state)| F::standing(state) == Standing::Open);
            let Ok(state) = codec::write_states::<F>(&states) else {
                tracing::error!(stream = %self.stream, "a state cannot be written as a snapshot");
                return false;
            };
            (inner.token.clone(), Snapshot { sequence: inner.sequence, state }, live, inner.since_snapshot)
        };
        match self.env.journal.snapshot(&token, snapshot, live).await {
            Ok(()) => {
                metrics::SNAPSHOTS.add(1, [F::NAME, "written"]);
                let mut inner = self.inner.borrow_mut();
                inner.since_snapshot = inner.since_snapshot.saturating_sub(covered);
                true
            }
            Err(error) => {
                metrics::SNAPSHOTS.add(1, [F::NAME, "failed"]);
                tracing::warn!(stream = %self.stream, %error, "a snapshot was not written");
                false
            }
        }
    }
}

/// The deadlines of a state; none if the rule panics (its next step will, too, and be counted).
pub(super) fn deadlines_of<F: Family>(state: &F::State) -> Deadlines<F> {
    catch_unwind(AssertUnwindSafe(|| F::timers(state).into_boxed_slice())).unwrap_or_else(|panic| {
        tracing::error!(family = F::NAME, cause = turn::panic_text(&*panic), "the timers of a state cannot be told");
        Box::default()
    })
}
