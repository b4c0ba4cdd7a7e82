//! One turn of a partition's writer: decides the steps that wait, on a working copy. Synchronous and free of IO; owns
//! the catching of panics and the all-or-nothing of a step.

use crate::clock::Timestamp;
use crate::domain::entity::{Context, Family, Notice, Row};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many commands one step may spread to. A rule that needs more is in a loop.
const MAX_COMMANDS: usize = 64;

/// Where committed states are looked up.
pub trait States<F: Family> {
    /// The committed state; `None`: not born yet.
    fn committed(&self, key: &F::Key) -> Option<&F::State>;
    /// Whether the entity is quarantined.
    fn quarantined(&self, key: &F::Key) -> bool;
}

/// What nearly always is one: in place, where a `Vec` begins with room for four. A fleet that comes at once has a turn under way for each charger.
pub type Few<T> = SmallVec<[T; 1]>;

/// The changed states of a turn, not durable yet.
pub type Working<F> = Few<(<F as Family>::Key, <F as Family>::State)>;

/// What one step decided.
#[derive(Debug)]
pub struct Decided<F: Family> {
    /// Per entity, in the order decided.
    pub events: Few<(F::Key, Vec<F::Event>)>,
    /// Outbox entries.
    pub notices: Vec<Notice>,
    /// Read-model changes.
    pub rows: Vec<Row>,
    /// To perform once durable.
    pub effects: Vec<(F::Key, F::Effect)>,
    /// To answer once durable.
    pub reply: F::Reply,
}

/// Why a step decided nothing.
#[derive(Debug)]
pub enum Failed<F: Family> {
    /// A rule said no.
    Rejected(F::Rejection),
    /// An entity that it needs is quarantined.
    Quarantined,
    /// A rule of this entity panicked.
    Panicked(F::Key, String),
}

/// What a step is decided with.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The partition's own identity.
    pub partition: &'a str,
    /// The sequence that the record would have.
    pub sequence: u64,
    /// The step's random bits.
    pub entropy: u128,
}

fn find<'a, F: Family>(working: &'a Working<F>, key: &F::Key) -> Option<&'a F::State> {
    working.iter().find(|(k, _)| k == key).map(|(_, state)| state)
}

fn put<F: Family>(working: &mut Working<F>, key: &F::Key, state: F::State) {
    match working.iter_mut().find(|(k, _)| k == key) {
        Some((_, old)) => *old = state,
        None => working.push((key.clone(), state)),
    }
}

/// Decides one command with all that it leads to among siblings. On success `working` holds the changed states.
///
/// # Errors
/// Nothing is changed then.
pub fn decide<F: Family>(
    states: &impl States<F>,
    working: &mut Working<F>,
    key: F::Key,
    command: F::Command,
    at: Now<'_>,
    ambient: &F::Ambient,
) -> Result<Decided<F>, Failed<F>> {
    let context = Context { now: at.now, partition: at.partition, sequence: at.sequence, entropy: at.entropy, ambient };
    let mut changed: Working<F> = Few::new();
    let mut commands: VecDeque<(F::Key, F::Command)> = VecDeque::from([(key, command)]);
    let mut reply = None;
    let mut all = (Few::<(F::Key, Vec<F::Event>)>::new(), Vec::<Notice>::new(), Vec::<(F::Key, F::Effect)>::new());
    let mut decided = 0;
    while let Some((key, command)) = commands.pop_front() {
        decided += 1;
        if decided > MAX_COMMANDS {
            return Err(Failed::Panicked(key, format!("a step of more than {MAX_COMMANDS} commands")));
        }
        if states.quarantined(&key) {
            return Err(Failed::Quarantined);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            fault_point!("engine.decide", &format!("{}/{} {key}", F::NAME, at.partition));
            let born;
            let state = match find::<F>(&changed, &key).or_else(|| find::<F>(working, &key)) {
                Some(state) => state,
                None => match states.committed(&key) {
                    Some(state) => state,
                    None => {
                        born = F::birth(&key);
                        &born
                    }
                },
            };
            let decision = F::decide(&key, state, command, &context)?;
            let after = (!decision.events.is_empty()).then(|| {
                let mut after = state.clone();
                decision.events.iter().for_each(|event| F::apply(&mut after, event));
                after
            });
            Ok((decision, after))
        }));
        let (decision, after) = match outcome {
            Ok(Ok(done)) => done,
            Ok(Err(rejection)) => return Err(Failed::Rejected(rejection)),
            Err(panic) => return Err(Failed::Panicked(key, panic_text(&*panic))),
        };
        if let Some(after) = after {
            put::<F>(&mut changed, &key, after);
            all.0.push((key.clone(), decision.events));
        }
        all.1.extend(decision.notices);
        all.2.extend(decision.effects.into_iter().map(|effect| (key.clone(), effect)));
        commands.extend(decision.also);
        if reply.is_none() {
            reply = Some(decision.reply);
        }
    }
    let rows = project::<F>(at.partition, &changed, &all.0)?;
    changed.into_iter().for_each(|(key, state)| put::<F>(working, &key, state));
    // The queue started with one command, so the loop ran and set the reply.
    let Some(reply) = reply else { return Err(Failed::Quarantined) };
    Ok(Decided { events: all.0, notices: all.1, rows, effects: all.2, reply })
}

fn project<F: Family>(
    partition: &str,
    changed: &Working<F>,
    events: &[(F::Key, Vec<F::Event>)],
) -> Result<Vec<Row>, Failed<F>> {
    let mut rows = Vec::new();
    for (key, state) in changed {
        let mut of_key = events.iter().filter(|(k, _)| k == key).map(|(_, events)| events);
        let projected = catch_unwind(AssertUnwindSafe(|| match (of_key.next(), of_key.next()) {
            (Some(first), None) => F::project(partition, key, state, first),
            (first, second) => {
                let several = first.into_iter().chain(second).chain(of_key).flatten();
                F::project(partition, key, state, &several.cloned().collect::<Vec<_>>())
            }
        }));
        match projected {
            Ok(more) => rows.extend(more),
            Err(panic) => return Err(Failed::Panicked(key.clone(), panic_text(&*panic))),
        }
    }
    Ok(rows)
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a text".to_owned(),
    }
}
