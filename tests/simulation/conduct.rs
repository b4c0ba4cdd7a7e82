//! What happens in a life: the steps of the plan, then quiet. Owns the order; what each step does is its actor's.

use crate::charger;
use crate::check;
use crate::journal::Room;
use crate::money;
use crate::partner::{self, Call, Known};
use crate::plan::{Action, Mood, Way};
use crate::product::Product;
use crate::world::{End, World};
use loadtest::charger::AtCharger;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Within this time after the last fault everything must have come to rest (I11).
const REST: Duration = Duration::from_secs(8 * 3600);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_secs(60);

/// Does what the plan says until the process ends; then waits for rest.
pub(crate) async fn conduct(world: &Rc<World>, product: &Rc<Product>) {
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
        check::gone(world, product);
        world.tell(format!("{}", step.action));
        if step.action.fault().is_none() || world.next.get().is_multiple_of(8) {
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
        Action::Start { partner, charger, connector } => {
            partner::start(world, product, (partner, charger, connector), false);
        }
        Action::Reserve { partner, charger, connector } => {
            world.count("a reservation");
            partner::start(world, product, (partner, charger, connector), true);
        }
        Action::Cancel { partner } => {
            if let Some(place) = last_of(world, |call| call.partner == partner && call.books) {
                partner::cancel(world, product, place);
            }
        }
        Action::Repeat { partner } => {
            if let Some(place) = last_of(world, |call| call.partner == partner) {
                world.count("a repeated request");
                partner::ask_soon(world, product, place);
            }
        }
        Action::Stop { partner } => {
            if let Some(place) =
                last_of(world, |call| call.partner == partner && !call.books && matches!(call.known, Known::Ok(_)))
            {
                partner::stop(world, product, place, false);
            }
        }
        Action::ForceStop { nth } => {
            let of = |call: &(usize, &Call)| !call.1.books && matches!(call.1.known, Known::Ok(_));
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
    }
    for n in 0..world.plan.partners {
        world.endpoints.of(n, |endpoint| endpoint.mood = Some(Mood::Well));
        crate::setup::enable_endpoint(product, n).await;
    }
    let until = Instant::now() + REST;
    let mut commanded = false;
    loop {
        // Also whoever was poisoned in the very last moment.
        (0..world.chargers.len()).for_each(|n| crate::setup::release(world, product, n));
        tokio::time::sleep(LOOK).await;
        check::soon(world);
        check::gone(world, product);
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
