//! A family made for the engine's tests: a root and children that count, wait, fail and command each other.

use crate::clock::Timestamp;
use crate::domain::entity::{Context, Deadline, Decision, Family, Notice, Row, Standing};
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use std::fmt;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Counter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Key {
    Root,
    Child(u8),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) total: u64,
    pub(super) due: Option<Timestamp>,
    pub(super) fired: u32,
    pub(super) over: bool,
}

#[derive(Debug)]
pub(super) enum Command {
    Add(u64),
    Arm(Timestamp),
    TimerFired,
    /// Adds to the root and to a child in one step.
    Both(u8, u64),
    /// Adds to the root, and has the child refuse.
    BothRefused(u8),
    Refuse,
    Panic,
    /// Stores an event whose application panics.
    Poison,
    End,
    Restarted(Duration),
    Tell,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Event {
    Added(u64),
    Armed(Timestamp),
    Fired,
    Poisoned,
    Over,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tick;

impl From<Tick> for Command {
    fn from(_: Tick) -> Self {
        Command::TimerFired
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Saw(u64),
    Fired(Timestamp),
}

impl Family for Counter {
    const NAME: &'static str = "counter";
    type Key = Key;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = u64;
    type Rejection = Refused;
    type Timer = Tick;
    type Ambient = ();

    fn root() -> Key {
        Key::Root
    }

    fn birth(_: &Key) -> State {
        State::default()
    }

    fn decide(_: &Key, state: &State, command: Command, context: &Context<'_, ()>) -> Result<Decision<Self>, Refused> {
        Ok(match command {
            Command::Add(n) => {
                let total = state.total + n;
                Decision::reply(total).event(Event::Added(n)).effect(Effect::Saw(total))
            }
            Command::Arm(due) => Decision::reply(0).event(Event::Armed(due)),
            Command::TimerFired => {
                Decision::reply(0).event(Event::Fired).effect(Effect::Fired(state.due.unwrap_or_default()))
            }
            Command::Both(child, n) => {
                Decision::reply(state.total + n).event(Event::Added(n)).also(Key::Child(child), Command::Add(n))
            }
            Command::BothRefused(child) => {
                Decision::reply(0).event(Event::Added(1)).also(Key::Child(child), Command::Refuse)
            }
            Command::Refuse => return Err(Refused),
            Command::Panic => panic!("told to"),
            Command::Poison => Decision::reply(0).event(Event::Poisoned),
            Command::End => Decision::reply(0).event(Event::Over),
            Command::Restarted(downtime) => {
                Decision::reply(0).event(Event::Armed(state.due.unwrap_or_default() + downtime))
            }
            Command::Tell => Decision::reply(0).event(Event::Told).effect(Effect::Saw(state.total)).notice(Notice {
                partner: "p1".parse().expect("a valid id"),
                kind: "counter.told".into(),
                order_key: "counter/1".into(),
                sequence: Some(1),
                at: context.now,
                data: serde_json::json!({}),
            }),
        })
    }

    fn apply(state: &mut State, event: &Event) {
        match event {
            Event::Added(n) => state.total += n,
            Event::Armed(due) => state.due = Some(*due),
            Event::Fired => {
                state.due = None;
                state.fired += 1;
            }
            Event::Poisoned => panic!("poisoned record"),
            Event::Over => state.over = true,
            Event::Told => {}
        }
    }

    fn timers(state: &State) -> SmallVec<[Deadline<Tick>; 4]> {
        state.due.map_or_else(SmallVec::new, |due| smallvec![Deadline { timer: Tick, due }])
    }

    fn standing(state: &State) -> Standing {
        match (state.over, state.due) {
            (true, _) => Standing::Ended,
            (false, Some(_)) => Standing::Open,
            (false, None) => Standing::Idle,
        }
    }

    fn project(partition: &str, key: &Key, state: &State, _: &[Event]) -> Vec<Row> {
        let key = format!("{partition}/{key}");
        vec![Row { table: "total", key, value: Some(state.total.to_string().into_bytes()) }]
    }

    fn give_back(state: &State, downtime: Duration) -> Option<Command> {
        // Deadlines in whole seconds measure silence, others are promises to people.
        state.due.filter(|due| due.0 % 1000 == 0).map(|_| Command::Restarted(downtime))
    }
}
