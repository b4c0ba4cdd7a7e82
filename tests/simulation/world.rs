//! A run: the world around the process, its lives one after the other, and what the clients know. Owns simulated time and the
//! story; never a rule.

use crate::charger::{self, Charger};
use crate::check;
use crate::journal::{Lie, Room, SimJournal};
use crate::money::{self, Payment};
use crate::partner::{self, Call, Endpoints, Known, Ways};
use crate::plan::{Action, Mishap, Mood, Plan, Way, moment};
use crate::product::{Ground, Product};
use chargeline::clock::{Clock, SharedClock, Timestamp};
use chargeline::config::Config;
use chargeline::persistence::MemoryJournal;
use loadtest::charger::AtCharger;
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

/// Within this time after the last fault everything must have come to rest (I11).
const REST: Duration = Duration::from_secs(8 * 3600);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_secs(60);

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
    jumped: Arc<AtomicI64>,
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
enum End {
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
    next: Cell<usize>,
    quiet: Cell<bool>,
    failure: RefCell<Option<Failure>>,
    end: Cell<Option<End>>,
    ended: Notify,
    story: RefCell<Vec<String>>,
    trace: RefCell<DefaultHasher>,
    pub(crate) counts: RefCell<BTreeMap<&'static str, u64>>,
    jumped: Arc<AtomicI64>,
    /// Simulated time when this life began, ms.
    base: Cell<u64>,
    origin: Cell<Option<Instant>>,
    /// What a death in a flush leaves.
    death: Cell<(u32, usize)>,
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

    fn finish(&self, end: End) {
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

/// Does what the plan says until the process ends; then waits for rest.
async fn conduct(world: &Rc<World>, product: &Rc<Product>) {
    for n in 0..world.chargers.len() {
        actix_rt::spawn(charger::live(Rc::clone(world), Rc::clone(product), n));
    }
    actix_rt::spawn(ask_again(Rc::clone(world), Rc::clone(product)));
    while let Some(step) = world.plan.steps.get(world.next.get()).copied() {
        let wait = step.at_ms.saturating_sub(world.at_ms());
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        world.next.set(world.next.get() + 1);
        world.tell(format!("{}", step.action));
        if step.action.fault().is_none() || world.next.get() % 8 == 0 {
            check::replay(world, product).await;
        }
        act(world, product, step.action).await;
        check::soon(world);
    }
    quiet(world, product).await;
}

/// Partners ask again about what they do not know, as long as it takes.
async fn ask_again(world: Rc<World>, product: Rc<Product>) {
    loop {
        tokio::time::sleep(Duration::from_secs(7)).await;
        let calls = world.calls.borrow().len();
        for place in 0..calls {
            let unknown = world.calls.borrow()[place].known == Known::Unknown;
            if unknown {
                partner::ask_soon(&world, &product, place);
            }
        }
        let payments = world.payments.borrow().len();
        for place in 0..payments {
            let unknown = !world.payments.borrow()[place].credited;
            if unknown {
                money::call_back(&world, &product, place);
            }
        }
    }
}

fn later(world: &Rc<World>, ms: u32, run: impl FnOnce(&World) + 'static) {
    let world = Rc::clone(world);
    actix_rt::spawn(async move {
        tokio::time::sleep(Duration::from_millis(ms.into())).await;
        run(&world);
    });
}

async fn act(world: &Rc<World>, product: &Rc<Product>, action: Action) {
    match action {
        Action::Card { charger, connector, card } => {
            let id_tag = crate::setup::card(card).into();
            charger::at_charger(world, charger, AtCharger::Card { connector, id_tag });
        }
        Action::Unplug { charger, connector } => charger::at_charger(world, charger, AtCharger::Unplug { connector }),
        Action::StopButton { charger, connector } => {
            charger::at_charger(world, charger, AtCharger::StopButton { connector });
        }
        Action::Drop { charger, offline_ms } => {
            world.count("a dropped link");
            charger::at_charger(world, charger, AtCharger::Drop { offline_ms });
        }
        Action::Freeze { charger, ms } => {
            world.count("a silent link");
            world.chargers[charger].borrow_mut().frozen_until = world.device_ms() + i64::from(ms);
        }
        Action::Frame { charger, way, mishap } => {
            let mut charger = world.chargers[charger].borrow_mut();
            let line = if way == Way::Up { &mut charger.up } else { &mut charger.down };
            line.push_back(mishap);
        }
        Action::Start { partner, charger, connector } => partner::start(world, product, partner, charger, connector),
        Action::Repeat { partner } => {
            if let Some(place) = last_of(world, |call| call.partner == partner) {
                world.count("a repeated request");
                partner::ask_soon(world, product, place);
            }
        }
        Action::Stop { partner } => {
            if let Some(place) = last_of(world, |call| call.partner == partner && matches!(call.known, Known::Ok(_))) {
                partner::stop(world, product, place, false);
            }
        }
        Action::ForceStop { nth } => {
            let of = |call: &(usize, &Call)| matches!(call.1.known, Known::Ok(_));
            let place = world.calls.borrow().iter().enumerate().rev().filter(of).nth(nth).map(|(place, _)| place);
            if let Some(place) = place {
                world.count("a forced stop");
                partner::stop(world, product, place, true);
            }
        }
        Action::Endpoint { partner, mood, ms } => {
            world.endpoints.of(partner, |endpoint| endpoint.mood = Some(mood));
            later(world, ms, move |world| {
                let over = |it: &mut partner::Endpoint| it.mood.take_if(|it| *it == mood);
                if world.endpoints.of(partner, over).is_some() {
                    world.tell(format!("the endpoint of partner-{partner} is well again"));
                }
            });
        }
        other => disturb(world, product, other).await,
    }
}

fn last_of(world: &World, which: impl Fn(&Call) -> bool) -> Option<usize> {
    world.calls.borrow().iter().rposition(which)
}

/// Operators, the disk, the clock and the end of the process.
async fn disturb(world: &Rc<World>, product: &Rc<Product>, action: Action) {
    match action {
        Action::Command { charger } => crate::setup::command(world, product, charger),
        Action::Block { card, blocked } => crate::setup::put_card(product, card, blocked),
        Action::Pay { yuan } => money::pay(world, product, i64::from(yuan) * 100),
        Action::CallBackAgain => {
            let last = world.payments.borrow().len().checked_sub(1);
            if let Some(last) = last {
                world.count("a repeated payment callback");
                money::call_back(world, product, last);
            }
        }
        Action::Poison { charger } => crate::setup::poison(world, product, charger),
        Action::Release { charger } => crate::setup::release(world, product, charger),
        Action::SlowFlush { ms } => product.disk.slow_down(Duration::from_millis(ms.into())),
        Action::FailFlush => {
            world.death.set((2_000, 500));
            product.disk.fail_next_flush();
        }
        Action::Hiccup(hiccup) => product.disk.hiccup(hiccup),
        Action::Disk { room, ms } => {
            product.disk.set_room(room);
            let disk = Arc::clone(&product.disk);
            later(world, ms, move |_| disk.set_room(Room::Enough));
        }
        Action::Crash { down_ms, keep } => world.finish(End::Killed { down_ms, keep }),
        Action::CrashInFlush { nth, down_ms, keep } => {
            world.death.set((down_ms, keep));
            product.disk.die_in_flush(nth);
        }
        Action::Clock { ms } => {
            world.count("a clock jump");
            world.jumped.fetch_add(ms.into(), Ordering::Relaxed);
        }
        _ => {}
    }
    // What was spawned begins, and a kill is taken in, before the next step.
    tokio::task::yield_now().await;
}

/// No more faults: everything must come to rest (I11), and then be right.
async fn quiet(world: &Rc<World>, product: &Rc<Product>) {
    if !world.quiet.replace(true) {
        world.tell("no more faults from here on".to_owned());
    }
    product.disk.set_room(Room::Enough);
    for n in 0..world.chargers.len() {
        let mut charger = world.chargers[n].borrow_mut();
        (charger.frozen_until, charger.up, charger.down) = (0, Default::default(), Default::default());
        drop(charger);
        charger::at_charger(world, n, AtCharger::Quiesce);
        crate::setup::release(world, product, n);
    }
    for n in 0..world.plan.partners {
        world.endpoints.of(n, |endpoint| endpoint.mood = Some(Mood::Well));
        crate::setup::enable_endpoint(product, n).await;
    }
    let until = Instant::now() + REST;
    let mut commanded = false;
    loop {
        tokio::time::sleep(LOOK).await;
        check::soon(world);
        let left = check::left(world, product).await;
        match left {
            None if !commanded => {
                commanded = true;
                (0..world.chargers.len()).for_each(|n| crate::setup::command(world, product, n));
            }
            None => break,
            Some((invariant, left)) if Instant::now() > until => {
                return world.fail(invariant, format!("{} h after the last fault: {left}", REST.as_secs() / 3600));
            }
            Some(_) => {}
        }
    }
    check::replay(world, product).await;
    check::at_rest(world, product).await;
    world.tell("everything is at rest".to_owned());
    world.finish(End::Rest);
    std::future::pending::<()>().await;
}
