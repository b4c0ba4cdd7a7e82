//! What happens in a run, drawn from the seed and written down before it begins: who does what when, and what goes wrong.
//! A shorter list of the same is a run, too: that is how a failing one is made small.

use crate::journal::{Hiccup, Room};
use loadtest::charger::Behaviour;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::fmt;
use std::time::Duration;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the charger.
    Up,
    /// To the charger.
    Down,
}

/// What happens to the next frame on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Doubled,
    /// It arrives this much later, ms, and all that follow with it.
    Delayed(u32),
    /// The one after it arrives first.
    Swapped,
}

/// How a partner's endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers 200.
    Well,
    /// Takes the event, and its answer does not come in time.
    Slow,
    /// Cannot be reached.
    Dead,
    /// Answers 500.
    Failing,
    /// Answers 429.
    Busy,
    /// Answers 410.
    Gone,
    /// Fails every other time.
    Flapping,
    /// Takes the event, and the connection breaks before the answer.
    LosesAnswers,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Card { charger: usize, connector: u16, card: usize },
    Unplug { charger: usize, connector: u16 },
    StopButton { charger: usize, connector: u16 },
    Drop { charger: usize, offline_ms: u32 },
    Freeze { charger: usize, ms: u32 },
    Frame { charger: usize, way: Way, mishap: Mishap },
    Start { partner: usize, charger: usize, connector: u16 },
    Reserve { partner: usize, charger: usize, connector: u16 },
    Cancel { partner: usize },
    Repeat { partner: usize },
    Stop { partner: usize },
    ForceStop { nth: usize },
    Command { charger: usize },
    Block { card: usize, blocked: bool },
    Pay { yuan: u32 },
    CallBackAgain,
    Poison { charger: usize },
    Release { charger: usize },
    Endpoint { partner: usize, mood: Mood, ms: u32 },
    SlowFlush { ms: u32 },
    FailFlush,
    Hiccup(Hiccup),
    Disk { room: Room, ms: u32 },
    Crash { down_ms: u32, keep: usize },
    CrashInFlush { nth: u32, down_ms: u32, keep: usize },
    Clock { ms: i32 },
}

/// One thing and when, ms from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at_ms: u64,
    pub(crate) action: Action,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) chargers: Vec<Vec<Behaviour>>,
    /// Whether the chargers give a repeated message a new id.
    pub(crate) new_ids: bool,
    /// Whether charging costs something, and the users of the first partner have accounts.
    pub(crate) paying: bool,
    pub(crate) partners: usize,
    pub(crate) cards: usize,
    pub(crate) steps: Vec<Step>,
}

impl Action {
    /// The kind of fault that it is; `None`: ordinary life.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Action::Drop { .. } => Some("dropped link"),
            Action::Freeze { .. } => Some("silent link"),
            Action::Frame { mishap, .. } => Some(match mishap {
                Mishap::Lost => "lost frame",
                Mishap::Doubled => "doubled frame",
                Mishap::Delayed(_) => "delayed frame",
                Mishap::Swapped => "reordered frame",
            }),
            Action::Poison { .. } => Some("poison"),
            Action::Endpoint { mood: Mood::Well, .. } => None,
            Action::Endpoint { .. } => Some("bad endpoint"),
            Action::SlowFlush { .. } => Some("slow flush"),
            Action::FailFlush => Some("failed flush"),
            Action::Hiccup(_) => Some("failed append"),
            Action::Disk { .. } => Some("full disk"),
            Action::Crash { .. } | Action::CrashInFlush { .. } => Some("crash"),
            Action::Clock { .. } => Some("clock jump"),
            Action::Card { .. }
            | Action::Unplug { .. }
            | Action::StopButton { .. }
            | Action::Start { .. }
            | Action::Reserve { .. }
            | Action::Cancel { .. }
            | Action::Repeat { .. }
            | Action::Stop { .. }
            | Action::ForceStop { .. }
            | Action::Command { .. }
            | Action::Block { .. }
            | Action::Pay { .. }
            | Action::CallBackAgain
            | Action::Release { .. } => None,
        }
    }
}

/// Minutes within which things happen.
const MINUTES: u64 = 90;

impl Plan {
    /// The run of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let chargers = (0..rng.random_range(1..=3)).map(|_| (0..2).map(|_| behaviour(&mut rng)).collect()).collect();
        let mut plan = Plan {
            seed,
            chargers,
            new_ids: rng.random_bool(0.3),
            paying: rng.random_bool(0.6),
            partners: rng.random_range(1..=2),
            cards: 2,
            steps: Vec::new(),
        };
        // Most runs have some kinds of faults only: all at once hide each other.
        let kinds: u32 = rng.random::<u32>() | rng.random::<u32>();
        let bursts = rng.random_range(4..16);
        for _ in 0..bursts {
            let mut at_ms = rng.random_range(30_000..MINUTES * 60_000);
            for _ in 0..rng.random_range(2..14) {
                let action = plan.draw(&mut rng, kinds);
                plan.steps.push(Step { at_ms, action });
                at_ms += *pick(&mut rng, &[0, 3, 40, 700, 5_000, 20_000, 70_000]);
            }
        }
        plan.steps.sort_by_key(|step| step.at_ms);
        plan
    }

    fn draw(&self, rng: &mut SmallRng, kinds: u32) -> Action {
        loop {
            let charger = rng.random_range(0..self.chargers.len());
            let connector = rng.random_range(1..=2);
            let partner = rng.random_range(0..self.partners);
            let card = rng.random_range(0..self.cards);
            let what = rng.random_range(0..100);
            let action = match what {
                0..18 => Action::Start { partner, charger, connector },
                18..21 => Action::Reserve { partner, charger, connector },
                21 => Action::Cancel { partner },
                22..30 => Action::Card { charger, connector, card },
                30..34 => Action::Unplug { charger, connector },
                34..38 => Action::StopButton { charger, connector },
                38..46 => Action::Stop { partner },
                46..50 => Action::Repeat { partner },
                50..53 => Action::ForceStop { nth: rng.random_range(0..4) },
                53..56 => Action::Command { charger },
                56..58 => Action::Block { card, blocked: rng.random() },
                58 if self.paying && rng.random() => Action::Pay { yuan: rng.random_range(1..60) },
                58 if self.paying => Action::CallBackAgain,
                58 => Action::Release { charger },
                _ => self.fault(rng, (charger, partner), what),
            };
            if action.fault().is_none() || kinds >> (what % 32) & 1 == 1 {
                return action;
            }
        }
    }

    fn fault(&self, rng: &mut SmallRng, (charger, partner): (usize, usize), what: u32) -> Action {
        let keep = *pick(rng, &[0, 0, 500, 1000]);
        let down_ms = *pick(rng, &[100, 2_000, 30_000, 400_000]);
        let nth = rng.random_range(0..3);
        match what {
            59..73 => {
                let way = if rng.random() { Way::Up } else { Way::Down };
                let late = rng.random_range(100..40_000);
                let mishap = *pick(rng, &[Mishap::Lost, Mishap::Doubled, Mishap::Delayed(late), Mishap::Swapped]);
                Action::Frame { charger, way, mishap }
            }
            73..77 => Action::Drop { charger, offline_ms: *pick(rng, &[200, 5_000, 60_000, 900_000]) },
            77..79 => Action::Freeze { charger, ms: *pick(rng, &[20_000, 200_000]) },
            79 => Action::Poison { charger },
            80..86 => {
                let bad = [
                    Mood::Slow,
                    Mood::Dead,
                    Mood::Failing,
                    Mood::Busy,
                    Mood::Gone,
                    Mood::Flapping,
                    Mood::LosesAnswers,
                    Mood::LosesAnswers,
                ];
                Action::Endpoint { partner, mood: *pick(rng, &bad), ms: *pick(rng, &[5_000, 90_000, 1_200_000]) }
            }
            86..88 => Action::SlowFlush { ms: *pick(rng, &[300, 3_000, 30_000]) },
            88 => Action::FailFlush,
            89..91 => Action::Hiccup(*pick(rng, &[Hiccup::Unavailable, Hiccup::UnknownLost, Hiccup::UnknownStored])),
            91..93 => Action::Disk { room: *pick(rng, &[Room::Low, Room::None]), ms: *pick(rng, &[2_000, 60_000]) },
            93..95 => Action::Crash { down_ms, keep },
            95..98 => Action::CrashInFlush { nth, down_ms, keep },
            _ => Action::Clock { ms: *pick(rng, &[-3_600_000, -5_000, 5_000, 3_600_000]) },
        }
    }
}

fn behaviour(rng: &mut SmallRng) -> Behaviour {
    let (after, offline) = (Duration::from_secs(20), Duration::from_secs(200));
    let odd = [
        Behaviour::RefusesStart,
        Behaviour::SilentOnStart,
        Behaviour::NeverStarts,
        Behaviour::StartsLate(Duration::from_secs(70)),
        Behaviour::DropsInCharge { after, offline },
        Behaviour::LosesAnswer,
        Behaviour::RepeatsMessages,
        Behaviour::RepeatsMessages,
        Behaviour::RubbishReadings,
        Behaviour::FaultsInCharge { after },
        Behaviour::UnplugsInCharge { after },
    ];
    if rng.random_bool(0.55) { Behaviour::Normal } else { *pick(rng, &odd) }
}

fn pick<'a, T>(rng: &mut SmallRng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}

fn seconds(ms: u32) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Action::Card { charger, connector, card } => {
                write!(f, "card {card} is held to connector {connector} of CP-{charger}")
            }
            Action::Unplug { charger, connector } => {
                write!(f, "the plug of connector {connector} of CP-{charger} is pulled")
            }
            Action::StopButton { charger, connector } => {
                write!(f, "the stop button of connector {connector} of CP-{charger} is pressed")
            }
            Action::Drop { charger, offline_ms } => {
                write!(f, "CP-{charger} loses its link for {}", seconds(offline_ms))
            }
            Action::Freeze { charger, ms } => write!(f, "CP-{charger} falls silent for {}", seconds(ms)),
            Action::Frame { charger, way, mishap } => {
                let way = if way == Way::Up { "from" } else { "to" };
                let fate = match mishap {
                    Mishap::Lost => "is lost".to_owned(),
                    Mishap::Doubled => "arrives twice".to_owned(),
                    Mishap::Delayed(ms) => format!("is {} late", seconds(ms)),
                    Mishap::Swapped => "is overtaken by the one after it".to_owned(),
                };
                write!(f, "the next frame {way} CP-{charger} {fate}")
            }
            Action::Start { partner, charger, connector } => {
                write!(f, "partner-{partner} starts charging at connector {connector} of CP-{charger}")
            }
            Action::Reserve { partner, charger, connector } => {
                write!(f, "partner-{partner} reserves connector {connector} of CP-{charger}")
            }
            Action::Cancel { partner } => write!(f, "partner-{partner} gives its last reservation up"),
            Action::Repeat { partner } => write!(f, "partner-{partner} repeats its last request"),
            Action::Stop { partner } => write!(f, "partner-{partner} stops its last session"),
            Action::ForceStop { nth } => write!(f, "an operator stops session {nth} from the last"),
            Action::Command { charger } => write!(f, "an operator sends CP-{charger} a command"),
            Action::Block { card, blocked: true } => write!(f, "an operator blocks card {card}"),
            Action::Block { card, blocked: false } => write!(f, "an operator allows card {card}"),
            Action::Pay { yuan } => write!(f, "user-0 pays {yuan} yuan"),
            Action::CallBackAgain => write!(f, "the payment gateway repeats its last word"),
            Action::Poison { charger } => write!(f, "the actor of CP-{charger} panics four times"),
            Action::Release { charger } => write!(f, "an operator releases CP-{charger} from quarantine"),
            Action::Endpoint { partner, mood, ms } => {
                write!(f, "the endpoint of partner-{partner} is {mood:?} for {}", seconds(ms))
            }
            Action::SlowFlush { ms } => write!(f, "the next flush takes {} longer", seconds(ms)),
            Action::FailFlush => write!(f, "the next flush fails, which ends the process"),
            Action::Hiccup(hiccup) => write!(f, "the next append is {hiccup:?}"),
            Action::Disk { room: Room::None, ms } => write!(f, "the disk is full to the last byte for {}", seconds(ms)),
            Action::Disk { ms, .. } => write!(f, "the disk is nearly full for {}", seconds(ms)),
            Action::Crash { down_ms, keep } => {
                let down = seconds(down_ms);
                write!(f, "the process is killed and back after {down}; {keep} ‰ of what was not flushed survive")
            }
            Action::CrashInFlush { nth, down_ms, keep } => {
                let down = seconds(down_ms);
                write!(f, "flush {nth} from now kills the process, back after {down}; {keep} ‰ of it survive")
            }
            Action::Clock { ms } => write!(f, "the wall clock jumps by {} s", ms / 1000),
        }
    }
}

/// A moment of a run as people write it.
pub(crate) fn moment(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, ms % 1000)
}
