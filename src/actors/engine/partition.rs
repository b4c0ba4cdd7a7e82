//! A partition's writer: the one token, the queue of steps, one append in flight (law 2 and 3). Owns the committed states of
//! the partition's entities and lends them to their actors; lives on one arbiter and is never sent anywhere.

use super::entity::EntityActor;
use super::host::HostCore;
use super::messages::{Outcome, Refusal};
use super::pacer::Pacer;
use super::restarts::RestartBudget;
use super::slots::Slots;
use super::turn::{self, Decided, Failed, Few, Now, Working};
use super::{codec, turn::States};
use crate::clock::SharedClock;
use crate::config::engine::Engine as Limits;
use crate::domain::entity::Family;
use crate::ids::PartnerId;
use crate::persistence::{Append, NewRecord, SharedJournal, StreamName, Token};
use crate::telemetry::metrics::engine as metrics;
use actix::Addr;
use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a family's partitions need from outside. One an arbiter.
pub struct Environment<F: Family> {
    /// Where facts become durable.
    pub journal: SharedJournal,
    /// The time.
    pub clock: SharedClock,
    /// 128 fresh random bits a step (a seeded source in simulation).
    pub entropy: Box<dyn Fn() -> u128>,
    /// Bounds.
    pub limits: Limits,
    /// Performs effects.
    pub shell: Rc<dyn Shell<F>>,
    /// The line of overdue timers.
    pub pacer: Rc<Pacer>,
    /// Restarts in the whole process (RT-2).
    pub process_restarts: Arc<std::sync::Mutex<RestartBudget>>,
}

/// The impure half of a family: performs what the rules decided. Runs on the partition's arbiter, never blocks it.
pub trait Shell<F: Family>: 'static {
    /// Performs one effect of `key`, whose step is durable.
    fn perform(&self, partition: &Rc<Partition<F>>, key: &F::Key, effect: F::Effect);

    /// Brings the volatile facts up to date before a turn. Cheap: called for every turn.
    fn refresh(&self, partition: &Partition<F>);

    /// `key` has a new committed state: in-memory read models follow it here.
    fn applied(&self, partition: &Rc<Partition<F>>, key: &F::Key, state: &F::State);

    /// These events of `key` are durable and committed; called within the span of the step. For the log (OP-7).
    fn recorded(&self, partition: &Rc<Partition<F>>, key: &F::Key, events: &[F::Event]) {
        let _ = (partition, key, events);
    }

    /// Notices to these partners are durable.
    fn noticed(&self, partners: &BTreeSet<PartnerId>);

    /// `key` has failed too often and is left alone until a person releases it: alert, ticket (RT-2).
    fn quarantined(&self, stream: &StreamName, key: &F::Key, cause: &str);

    /// Whether volatile things hold the partition in memory: a socket is attached.
    fn pinned(&self, partition: &Partition<F>) -> bool;
}

/// A step that waits for its turn.
pub(super) struct Step<F: Family> {
    pub(super) key: F::Key,
    pub(super) command: Work<F>,
    pub(super) reply: Answering<F>,
    pub(super) span: tracing::Span,
}

/// Where a step's answer goes.
pub(super) type Answering<F> = oneshot::Sender<Outcome<F>>;

/// What must happen to an entity before the next turn.
pub(super) enum Repair<F: Family> {
    /// Its rule panicked.
    Rebuild(F::Key, String),
    /// A person puts it back to work.
    Release(F::Key, oneshot::Sender<Result<(), String>>),
}

/// What a step is to do.
pub(super) enum Work<F: Family> {
    Command(F::Command),
    /// Puts a quarantined entity back to work.
    Release(oneshot::Sender<Result<(), String>>),
    /// The test-only poison: panics where the rule would be called (RT-2).
    #[cfg(any(test, feature = "testing"))]
    Poison,
}

/// How an entity that has failed stands.
pub(super) struct Health {
    pub(super) budget: RestartBudget,
    pub(super) quarantined: Option<String>,
}

pub(super) struct Inner<F: Family> {
    pub(super) token: Token,
    pub(super) sequence: u64,
    pub(super) slots: Slots<F>,
    pub(super) health: BTreeMap<F::Key, Health>,
    pub(super) queue: VecDeque<Step<F>>,
    pub(super) since_snapshot: u32,
}

impl<F: Family> States<F> for Inner<F> {
    fn committed(&self, key: &F::Key) -> Option<&F::State> {
        self.slots.get(key).map(|slot| &slot.state)
    }

    fn quarantined(&self, key: &F::Key) -> bool {
        self.health.get(key).is_some_and(|health| health.quarantined.is_some())
    }
}

/// A partition in memory.
pub struct Partition<F: Family> {
    /// Its stream.
    pub stream: StreamName,
    pub(super) env: Rc<Environment<F>>,
    pub(super) host: Weak<HostCore<F>>,
    pub(super) inner: RefCell<Inner<F>>,
    pub(super) ambient: RefCell<F::Ambient>,
    /// An append or a rebuild is under way.
    pub(super) busy: Cell<bool>,
    /// A snapshot is being written.
    pub(super) snapshotting: Cell<bool>,
    /// It has lost its token or is leaving memory: nothing is decided here any more.
    pub(super) closed: Cell<bool>,
    pub(super) touched: Cell<crate::clock::Timestamp>,
}

impl<F: Family> std::fmt::Debug for Partition<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<F: Family> Partition<F> {
    /// The partition's own identity.
    pub fn id(&self) -> &str {
        self.stream.partition()
    }

    /// What it was made with.
    pub fn env(&self) -> &Environment<F> {
        &self.env
    }

    /// Where it lives.
    pub fn host(&self) -> Option<Rc<HostCore<F>>> {
        self.host.upgrade()
    }

    /// Changes the volatile facts that decisions see.
    pub fn ambient<R>(&self, change: impl FnOnce(&mut F::Ambient) -> R) -> R {
        change(&mut self.ambient.borrow_mut())
    }

    /// The committed state of an entity, if it is in memory.
    pub fn state(&self, key: &F::Key) -> Option<Ref<'_, F::State>> {
        Ref::filter_map(self.inner.borrow(), |inner| inner.slots.get(key).map(|slot| &slot.state)).ok()
    }

    /// The keys of all entities in memory.
    pub fn keys(&self) -> Vec<F::Key> {
        self.inner.borrow().slots.iter().map(|(key, _)| key.clone()).collect()
    }

    /// Whether any entity is left alone. Cheap.
    pub fn has_quarantine(&self) -> bool {
        !self.inner.borrow().health.is_empty()
    }

    /// The entities left alone until a person releases them, with the cause.
    pub fn quarantine(&self) -> Vec<(F::Key, String)> {
        let inner = self.inner.borrow();
        let quarantined = inner.health.iter().filter_map(|(key, h)| h.quarantined.clone().map(|c| (key.clone(), c)));
        quarantined.collect()
    }

    /// The address of an entity's actor.
    pub fn actor(&self, key: &F::Key) -> Option<Addr<EntityActor<F>>> {
        self.inner.borrow().slots.get(key).and_then(|slot| slot.actor.clone())
    }

    /// Hands in a command. The answer comes once the step is durable.
    pub async fn submit(self: &Rc<Self>, key: F::Key, command: F::Command) -> Outcome<F> {
        let (reply, answer) = oneshot::channel();
        self.hand_in(key, command, reply, tracing::Span::current());
        // Dropped unanswered: the partition was closed under it.
        answer.await.unwrap_or(Err(Refusal::Unavailable(self.env.limits.retry_after)))
    }

    /// Hands in a command whose answer goes to `reply`.
    pub(super) fn hand_in(self: &Rc<Self>, key: F::Key, command: F::Command, reply: Answering<F>, span: tracing::Span) {
        self.enqueue(Step { key, command: Work::Command(command), reply, span });
    }

    /// Puts a quarantined entity back to work, by order of a person.
    ///
    /// # Errors
    /// Says why the journal's records still cannot be folded.
    pub async fn release(self: &Rc<Self>, key: F::Key) -> Result<(), String> {
        let (done, result) = oneshot::channel();
        let (reply, _) = oneshot::channel();
        self.enqueue(Step { key, command: Work::Release(done), reply, span: tracing::Span::current() });
        result.await.unwrap_or_else(|_| Err("the partition is closed or too busy".to_owned()))
    }

    /// The test-only poison: the rule of `key` panics (RT-2).
    #[cfg(any(test, feature = "testing"))]
    pub async fn poison(self: &Rc<Self>, key: F::Key) -> Outcome<F> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Step { key, command: Work::Poison, reply, span: tracing::Span::current() });
        answer.await.unwrap_or(Err(Refusal::Crashed))
    }

    fn enqueue(self: &Rc<Self>, step: Step<F>) {
        if self.closed.get() {
            // The sender may have gone.
            let _ = step.reply.send(Err(Refusal::Unavailable(self.env.limits.retry_after)));
        } else if self.inner.borrow().queue.len() >= self.env.limits.partition_queue {
            metrics::REFUSED.add(1, [F::NAME, "queue"]);
            let _ = step.reply.send(Err(Refusal::Busy));
        } else {
            let mut inner = self.inner.borrow_mut();
            if inner.queue.capacity() == 0 {
                // Steps are large and seldom wait together: no room for four.
                inner.queue.reserve_exact(1);
            }
            inner.queue.push_back(step);
            drop(inner);
            self.pump();
        }
    }

    /// Takes turns as long as steps wait and no append is in flight.
    pub(super) fn pump(self: &Rc<Self>) {
        while !self.busy.get() && !self.closed.get() {
            let Some(mut turn) = self.take_turn() else { return };
            let repair = turn.repair.take();
            if turn.records.is_empty() && repair.is_none() {
                self.settle(turn);
                continue;
            }
            self.busy.set(true);
            let partition = Rc::clone(self);
            // As small as can be: in a storm one waits for every charger, and what they take together is hard to give back.
            let (turn, repair) = (Box::new(turn), repair.map(Box::new));
            actix_rt::spawn(async move {
                // Steps decided before the crash go on; the crashed entity is rebuilt after them.
                let broken = if turn.records.is_empty() {
                    partition.settle(*turn)
                } else {
                    partition.append_and_settle(turn).await
                };
                if let Some(broken) = broken {
                    for key in &broken.keys {
                        Box::pin(partition.rebuild(key, &broken.cause)).await;
                    }
                }
                match repair {
                    Some(repair) if !partition.closed.get() => Box::pin(partition.repair(*repair)).await,
                    Some(_) | None => {}
                }
                partition.busy.set(false);
                partition.pump();
            });
        }
    }

    /// Decides the steps that wait, up to the bound, on a working copy. `None`: none waits.
    fn take_turn(self: &Rc<Self>) -> Option<Turn<F>> {
        self.env.shell.refresh(self);
        let mut inner = self.inner.borrow_mut();
        if inner.queue.is_empty() {
            return None;
        }
        let ambient = self.ambient.borrow();
        let mut turn = Turn::new(inner.sequence);
        for _ in 0..self.env.limits.steps_a_turn {
            let Some(step) = inner.queue.pop_front() else { break };
            let now = self.env.clock.now();
            self.touched.set(now);
            let entropy = (self.env.entropy)();
            let sequence = inner.sequence + turn.records.len() as u64 + 1;
            let entered = step.span.clone().entered();
            let at = Now { now, partition: self.stream.partition(), sequence, entropy };
            let decided = match step.command {
                Work::Command(command) => {
                    turn::decide::<F>(&*inner, &mut turn.working, step.key.clone(), command, at, &ambient)
                }
                Work::Release(done) => {
                    turn.repair = Some(Repair::Release(step.key, done));
                    break;
                }
                #[cfg(any(test, feature = "testing"))]
                Work::Poison if inner.quarantined(&step.key) => Err(Failed::Quarantined),
                #[cfg(any(test, feature = "testing"))]
                Work::Poison => Err(Failed::Panicked(step.key.clone(), "poison".to_owned())),
            };
            drop(entered);
            match decided {
                Ok(decided) => {
                    metrics::STEPS.add(1, [F::NAME, "decided"]);
                    turn.add(decided, step.reply, step.span, at);
                }
                Err(Failed::Rejected(rejection)) => {
                    metrics::STEPS.add(1, [F::NAME, "rejected"]);
                    turn.answers.push(Answer { reply: step.reply, outcome: Err(Refusal::Rejected(rejection)) });
                }
                Err(Failed::Quarantined) => {
                    metrics::REFUSED.add(1, [F::NAME, "quarantine"]);
                    turn.answers.push(Answer { reply: step.reply, outcome: Err(Refusal::Quarantined) });
                }
                Err(Failed::Panicked(key, cause)) => {
                    metrics::STEPS.add(1, [F::NAME, "panicked"]);
                    turn.answers.push(Answer { reply: step.reply, outcome: Err(Refusal::Crashed) });
                    turn.repair = Some(Repair::Rebuild(key, cause));
                    break;
                }
            }
        }
        if inner.queue.is_empty() {
            // Its room, for steps that are large, would stay for the life of an idle charger.
            inner.queue = VecDeque::new();
        }
        Some(turn)
    }
}

/// An answer that waits for durability.
pub(super) struct Answer<F: Family> {
    pub(super) reply: oneshot::Sender<Outcome<F>>,
    pub(super) outcome: Outcome<F>,
}

/// What one turn decided.
pub(super) struct Turn<F: Family> {
    pub(super) after: u64,
    pub(super) working: Working<F>,
    pub(super) records: Vec<NewRecord>,
    pub(super) rows: Vec<crate::domain::entity::Row>,
    pub(super) partners: BTreeSet<PartnerId>,
    pub(super) recorded: Vec<(F::Key, Vec<F::Event>, tracing::Span)>,
    pub(super) effects: Vec<(F::Key, F::Effect, tracing::Span)>,
    pub(super) answers: Few<Answer<F>>,
    pub(super) repair: Option<Repair<F>>,
}

impl<F: Family> Turn<F> {
    fn new(after: u64) -> Self {
        Turn {
            after,
            working: Few::new(),
            records: Vec::new(),
            rows: Vec::new(),
            partners: BTreeSet::new(),
            recorded: Vec::new(),
            effects: Vec::new(),
            answers: Few::new(),
            repair: None,
        }
    }

    fn add(&mut self, decided: Decided<F>, reply: oneshot::Sender<Outcome<F>>, span: tracing::Span, at: Now<'_>) {
        if !decided.events.is_empty() || !decided.notices.is_empty() {
            // Only a rule whose event cannot be JSON gets here; its unit tests write every event.
            let body = codec::write_step::<F>(&decided.events).unwrap_or_default();
            self.partners.extend(decided.notices.iter().map(|notice| notice.partner.clone()));
            begin_with(&mut self.records, 1);
            self.records.push(NewRecord { at: at.now, id: at.entropy, body, notices: decided.notices });
            self.rows.extend(decided.rows);
        }
        begin_with(&mut self.recorded, decided.events.len());
        self.recorded.extend(decided.events.into_iter().map(|(key, events)| (key, events, span.clone())));
        begin_with(&mut self.effects, decided.effects.len());
        self.effects.extend(decided.effects.into_iter().map(|(key, effect)| (key, effect, span.clone())));
        self.answers.push(Answer { reply, outcome: Ok(decided.reply) });
    }

    pub(super) fn take_append(&mut self) -> Append {
        Append { after: self.after, records: std::mem::take(&mut self.records), rows: std::mem::take(&mut self.rows) }
    }
}

/// Room for just what comes first, where a `Vec` begins with room for four: nearly every turn is one step.
fn begin_with<T>(list: &mut Vec<T>, first: usize) {
    if list.capacity() == 0 {
        list.reserve_exact(first);
    }
}
