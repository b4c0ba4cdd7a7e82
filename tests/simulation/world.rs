//! A run: the world around the process, its lives one after the other, and what the clients know. Owns simulated time and the
//! story; never a rule.

use crate::charger::Charger;
use crate::conduct::conduct;
use crate::journal::{Lie, SimJournal};
use crate::money::Payment;
use crate::partner::{Call, Endpoints, Ways};
use crate::plan::{Mishap, Plan, Way, moment};
use crate::product::{Ground, Product};
use chargeline::clock::{Clock, SharedClock, Timestamp};
use chargeline::config::Config;
use chargeline::persistence::MemoryJournal;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// 2026-01-02T00:00:00Z.
const START: i64 = 1_767_312_000_000;

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The wall clock of the server, which can jump.
struct SimClock {
    /// What it shows when `origin` is now.
    start: i64,
    origin: Instant,
    pub(crate) jumped: Arc<AtomicI64>,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.start + passed + self.jumped.load(Ordering::Relaxed))
    }
}

/// What broke, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Killed { down_ms: u32, keep: usize },
    Rest,
    Failed,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) failure: Option<Failure>,
    /// Of all that anybody outside saw, in order.
    pub(crate) trace: u64,
    pub(crate) story: Vec<String>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) simulated: Duration,
}

/// What all runs share.
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) key_file: PathBuf,
}

/// The world of one run.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) lie: Option<Lie>,
    pub(crate) chargers: Vec<RefCell<Charger>>,
    pub(crate) calls: RefCell<Vec<Call>>,
    pub(crate) endpoints: Arc<Endpoints>,
    /// Operators' commands that were taken, with where they went.
    pub(crate) commands: RefCell<Vec<(usize, String)>>,
    pub(crate) payments: RefCell<Vec<Payment>>,
    pub(crate) poisoned: Cell<u64>,
    /// Since when each charger has been believed to be in, and was not.
    ghosts: RefCell<BTreeMap<usize, u64>>,
    pub(crate) next: Cell<usize>,
    pub(crate) quiet: Cell<bool>,
    failure: RefCell<Option<Failure>>,
    end: Cell<Option<End>>,
    ended: Notify,
    story: RefCell<Vec<String>>,
    trace: RefCell<DefaultHasher>,
    pub(crate) counts: RefCell<BTreeMap<&'static str, u64>>,
    pub(crate) jumped: Arc<AtomicI64>,
    /// Simulated time when this life began, ms.
    base: Cell<u64>,
    origin: Cell<Option<Instant>>,
    /// What a death in a flush leaves.
    pub(crate) death: Cell<(u32, usize)>,
    narrates: bool,
}

impl World {
    fn new(plan: &Plan, lie: Option<Lie>, narrates: bool) -> Rc<Self> {
        let chargers = plan.chargers.iter().enumerate();
        let charger = |(n, scripts): (usize, &Vec<_>)| {
            RefCell::new(Charger::new(n, scripts, plan.new_ids, plan.seed.rotate_left(7) + n as u64, START))
        };
        Rc::new(World {
            plan: plan.clone(),
            lie,
            chargers: chargers.map(charger).collect(),
            calls: RefCell::default(),
            endpoints: Arc::default(),
            commands: RefCell::default(),
            payments: RefCell::default(),
            poisoned: Cell::new(0),
            ghosts: RefCell::default(),
            next: Cell::new(0),
            quiet: Cell::new(false),
            failure: RefCell::default(),
            end: Cell::new(None),
            ended: Notify::new(),
            story: RefCell::default(),
            trace: RefCell::default(),
            counts: RefCell::default(),
            jumped: Arc::default(),
            base: Cell::new(0),
            origin: Cell::new(None),
            death: Cell::new((1_000, 0)),
            narrates,
        })
    }

    /// Simulated time since the beginning, ms.
    pub(crate) fn at_ms(&self) -> u64 {
        let passed = self.origin.get().map_or(0, |origin| u64::try_from(origin.elapsed().as_millis()).unwrap_or(0));
        self.base.get() + passed
    }

    /// The chargers' own clock, which does not jump.
    pub(crate) fn device_ms(&self) -> i64 {
        START + i64::try_from(self.at_ms()).unwrap_or(i64::MAX)
    }

    /// Whether a charger is believed to be in, and is not: since when.
    pub(crate) fn ghost(&self, charger: usize, is_one: bool) -> Option<u64> {
        let mut ghosts = self.ghosts.borrow_mut();
        if !is_one {
            ghosts.remove(&charger);
            return None;
        }
        Some(*ghosts.entry(charger).or_insert_with(|| self.at_ms()))
    }

    /// A line of the story, and of the trace.
    pub(crate) fn tell(&self, line: String) {
        for news in self.news() {
            self.write(news);
        }
        self.write(line);
    }

    fn news(&self) -> Vec<String> {
        let all = (0..self.plan.partners).flat_map(|n| self.endpoints.of(n, |it| std::mem::take(&mut it.news)));
        all.collect()
    }

    fn write(&self, line: String) {
        let line = format!("{} {line}", moment(self.at_ms()));
        self.trace.borrow_mut().write(line.as_bytes());
        if self.narrates {
            self.story.borrow_mut().push(line);
        }
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    fn add(&self, what: &'static str, n: u64) {
        *self.counts.borrow_mut().entry(what).or_default() += n;
    }

    pub(crate) fn met(&self, way: Way, mishap: Mishap) {
        self.count(match (way, mishap) {
            (_, Mishap::Lost) => "a lost frame",
            (Way::Up, Mishap::Doubled) => "a duplicate frame",
            (Way::Down, Mishap::Doubled) => "a duplicate answer or command",
            (Way::Up, Mishap::Delayed(_)) => "a late frame",
            (Way::Down, Mishap::Delayed(_)) => "a late answer",
            (_, Mishap::Swapped) => "a reordered frame",
        });
    }

    /// An invariant is broken: the run ends here.
    pub(crate) fn fail(&self, invariant: &'static str, text: String) {
        self.tell(format!("{invariant} is broken: {text}"));
        self.failure.borrow_mut().get_or_insert(Failure { invariant, text });
        self.finish(End::Failed);
    }

    pub(crate) fn finish(&self, end: End) {
        if self.end.get().is_none() {
            self.end.set(Some(end));
            self.ended.notify_one();
        }
    }

    fn clock(&self) -> SharedClock {
        Arc::new(SimClock {
            start: START + i64::try_from(self.base.get()).unwrap_or(0),
            origin: Instant::now(),
            jumped: Arc::clone(&self.jumped),
        })
    }
}

/// Runs a plan to its end.
pub(crate) fn run(setting: &Setting, plan: &Plan, lie: Option<Lie>, narrates: bool) -> Outcome {
    let world = World::new(plan, lie, narrates);
    let mut store: Option<Arc<MemoryJournal>> = None;
    let mut hidden = 0;
    for life in 0.. {
        let system = actix::System::with_tokio_rt(|| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().expect("a runtime can be built")
        });
        let before = store.take();
        let (end, disk, (lost, kept, hide)) = system.block_on(async {
            let (end, disk) = one_life(&world, setting, (life, before, hidden)).await;
            let keep = match end {
                End::Killed { keep, .. } => keep,
                End::Rest | End::Failed => 1000,
            };
            // Within the runtime: its time is the time of the crash.
            let left = disk.crash(keep);
            let at = world.at_ms();
            world.origin.set(None);
            world.base.set(at);
            (end, disk, left)
        });
        drop(system);
        world.note_met(&disk);
        store = Some(disk.survivor());
        hidden = hide;
        let End::Killed { down_ms, .. } = end else { break };
        world.tell(format!("the process is dead; of what was written and not flushed {lost} are lost and {kept} kept"));
        world.count("a crash");
        world.add("a crash with unflushed data lost", u64::from(lost > 0));
        world.add("a crash with unflushed data kept", u64::from(kept > 0));
        world.base.set(world.base.get() + u64::from(down_ms));
        world.after_death();
    }
    world.outcome()
}

impl World {
    fn note_met(&self, disk: &SimJournal) {
        let met = disk.met();
        self.add("a slow flush", met.slow);
        self.add("the journal full", met.full);
        self.add("the journal nearly full", met.low);
        self.add("an append unavailable", met.unavailable);
        self.add("an append of unknown outcome", met.unknown);
    }

    /// What died with the process.
    fn after_death(&self) {
        self.end.set(None);
        self.ghosts.borrow_mut().clear();
        self.calls.borrow_mut().iter_mut().for_each(|call| call.asking = false);
        self.payments.borrow_mut().iter_mut().for_each(|payment| payment.asking = false);
        let now = self.device_ms();
        for charger in &self.chargers {
            charger.borrow_mut().device.disconnected("the server is dead", now);
        }
    }

    fn outcome(&self) -> Outcome {
        for n in 0..self.plan.partners {
            let (redelivered, gone) = self.endpoints.of(n, |endpoint| (endpoint.redelivered, endpoint.gone));
            self.add("a redelivery", redelivered.into());
            self.add("an endpoint gone", gone.into());
        }
        Outcome {
            failure: self.failure.borrow().clone(),
            trace: self.trace.borrow().finish(),
            story: self.story.borrow().clone(),
            counts: self.counts.borrow().clone(),
            simulated: Duration::from_millis(self.at_ms()),
        }
    }
}

type Before = (u64, Option<Arc<MemoryJournal>>, u64);

async fn one_life(world: &Rc<World>, setting: &Setting, (life, before, hidden): Before) -> (End, Arc<SimJournal>) {
    world.origin.set(Some(Instant::now()));
    let clock = world.clock();
    let inner = match &before {
        Some(journal) => journal.reopen_at(&clock),
        None => MemoryJournal::new(&clock),
    };
    inner.advise_snapshots_after(40);
    let disk = SimJournal::new(inner, world.lie, hidden);
    let seed = world.plan.seed ^ (life << 48);
    let ground = Ground {
        config: &setting.config,
        disk: Arc::clone(&disk),
        clock,
        deliver: Arc::new(Ways(Arc::clone(&world.endpoints))),
        key_file: &setting.key_file,
        seed,
    };
    let acts = async {
        let product = match Product::start(ground).await {
            Ok(product) => product,
            Err(why) => return world.fail("I7", format!("the process does not start: {why}")),
        };
        if let Err(why) = product.recover().await {
            return world.fail("I7", why);
        }
        if life == 0 {
            crate::setup::register(world, &product, &setting.config).await;
        }
        world.tell("the process is ready".to_owned());
        conduct(world, &product).await;
    };
    let died = async {
        disk.died.notified().await;
        let (down_ms, keep) = world.death.get();
        world.tell("the process dies in the midst of a flush".to_owned());
        world.count("a crash in a flush");
        world.finish(End::Killed { down_ms, keep });
    };
    tokio::select! {
        biased;
        () = world.ended.notified() => {}
        () = async { tokio::join!(acts, died); } => {}
    }
    (world.end.get().unwrap_or(End::Failed), disk)
}
