//! The invariants of `docs/invariants.md`, judged by what the clients know and by what is durable; never by what the product
//! believes, except where the two are set beside each other (I7).

use crate::partner::{self, Known};
use crate::plan::{Action, moment};
use crate::product::Product;
use crate::world::World;
use chargeline::actors::engine::pacer::Pacer;
use chargeline::actors::engine::restarts::RestartBudget;
use chargeline::actors::engine::{Environment, HostCore, Partition, Shell};
use chargeline::clock::Timestamp;
use chargeline::domain::charging::{ChargingFamily, Effect, Key, State};
use chargeline::domain::entity::Family as _;
use chargeline::ids::PartnerId;
use chargeline::persistence::{Journal as _, MemoryJournal, OutboxEntry, StreamName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a charger may have gone before the rules know of it: what cannot be stored is tried again after half a minute at
/// most, and a flush may take as long.
const GHOST_MAX_MS: u64 = 120_000;

/// Performs nothing.
struct Inert;

impl Shell<ChargingFamily> for Inert {
    fn perform(&self, _: &Rc<Partition<ChargingFamily>>, _: &Key, _: Effect) {}
    fn refresh(&self, _: &Partition<ChargingFamily>) {}
    fn applied(&self, _: &Rc<Partition<ChargingFamily>>, _: &Key, _: &State) {}
    fn noticed(&self, _: &BTreeSet<PartnerId>) {}
    fn quarantined(&self, _: &StreamName, _: &Key, _: &str) {}
    fn pinned(&self, _: &Partition<ChargingFamily>) -> bool {
        true
    }
}

/// After every step: what has arrived is in order and the same (I3).
pub(crate) fn soon(world: &World) {
    for n in 0..world.plan.partners {
        if let Some(flaw) = partner::flaw(&world.endpoints, n) {
            world.fail("I3", flaw);
        }
    }
}

/// Between steps: no charger that has gone is believed to be in for long, unless nothing can be stored of it (I11).
pub(crate) fn gone(world: &World, product: &Product) {
    for n in 0..world.chargers.len() {
        let id = format!("CP-{n}");
        let believed =
            product.core.loaded(&id).filter(|partition| !partition.has_quarantine()).is_some_and(|partition| {
                let state = partition.state(&Key::Charger);
                state.and_then(|state| state.charger()?.generation()).is_some()
            });
        let online = id.parse().is_ok_and(|id| product.register.is_online(&id));
        let ghost = believed && !online && !product.disk.is_full();
        if let Some(since) = world.ghost(n, ghost)
            && world.at_ms() - since > GHOST_MAX_MS
        {
            return world
                .fail("I11", format!("{id} has had no connection since {} and is believed to be in", moment(since)));
        }
    }
}

/// At a moment without a flush under way: the fold of the journal is the state (I7).
pub(crate) async fn replay(world: &World, product: &Rc<Product>) {
    let mut still = 0;
    for _ in 0..40 {
        still = if product.disk.is_idle() { still + 1 } else { 0 };
        if still >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if still < 4 || product.disk.is_dead() {
        return;
    }
    let core = HostCore::new(Environment {
        journal: product.disk.durable().fork(),
        clock: product.clock.clone(),
        entropy: Box::new(|| 7),
        limits: product.core.env().limits.clone(),
        shell: Rc::new(Inert),
        pacer: Pacer::new(1),
        process_restarts: Arc::new(Mutex::new(RestartBudget::new(100, Duration::from_secs(60)))),
    });
    holds(world, &rows(product.disk.durable(), "reservation").await);
    for n in 0..world.plan.chargers.len() {
        let id = format!("CP-{n}");
        let Some(live) = product.core.loaded(&id) else { continue };
        let Some(folded) = core.partition(&id).await else {
            return world.fail("I7", format!("the journal of {id} cannot be folded"));
        };
        let (live_keys, folded_keys) = (live.keys(), folded.keys());
        if live_keys != folded_keys {
            return world.fail("I7", format!("{id} holds {live_keys:?} and its journal {folded_keys:?}"));
        }
        for key in live_keys {
            let same = match (live.state(&key), folded.state(&key)) {
                (Some(live), Some(folded)) => *live == *folded,
                (live, folded) => live.is_none() && folded.is_none(),
            };
            if !same {
                return world.fail("I7", format!("{key} of {id} is not what its journal says"));
            }
        }
        world.count("a look at the fold of a journal");
    }
}

async fn rows(durable: &MemoryJournal, table: &str) -> Vec<(String, Value)> {
    let rows = durable.rows(table, "", None, usize::MAX).await.unwrap_or_default();
    rows.into_iter().map(|row| (row.key, serde_json::from_slice(&row.value).unwrap_or_default())).collect()
}

async fn outbox(durable: &MemoryJournal, n: usize) -> Vec<OutboxEntry> {
    let partner = format!("partner-{n}").parse().expect("a good id");
    durable.outbox(&partner, 0, usize::MAX).await.unwrap_or_default()
}

/// No connector is held twice (I4).
fn holds(world: &World, reservations: &[(String, Value)]) {
    let mut held = BTreeMap::new();
    for (id, row) in reservations.iter().filter(|(_, row)| row["open"] == true) {
        let place = format!("connector {} of {}", row["connector_id"], row["charger_id"]);
        if let Some(other) = held.insert(place.clone(), id) {
            return world.fail("I4", format!("{place} is held by {other} and {id}"));
        }
    }
}

/// What keeps the world from being at rest; `None`: nothing (I11).
pub(crate) async fn left(world: &World, product: &Rc<Product>) -> Option<(&'static str, String)> {
    for charger in &world.chargers {
        let charger = charger.borrow();
        if !charger.is_whole() {
            let queue = charger.device.state().queue.len();
            return Some(("I11", format!("{} still has {queue} messages to tell, or is not booted", charger.id)));
        }
    }
    for call in world.calls.borrow().iter() {
        if call.known == Known::Unknown {
            let text = format!("nobody knows what became of {} of partner-{}", call.request, call.partner);
            return Some(("I11", text));
        }
    }
    if let Some(place) = world.payments.borrow().iter().position(|payment| !payment.credited) {
        return Some(("I11", format!("payment {place} is not credited")));
    }
    let durable = product.disk.durable().fork();
    for (key, row) in rows(&durable, "order").await {
        if matches!(row["status"].as_str(), Some("Placed" | "Open")) {
            return Some(("I11", format!("order {key} is still {}", row["status"])));
        }
    }
    for (key, row) in rows(&durable, "session").await {
        if row["open"] == true {
            return Some(("I11", format!("session {key} is still open")));
        }
    }
    let reservations = rows(&durable, "reservation").await;
    if let Some((key, _)) = reservations.iter().find(|(_, row)| row["open"] == true) {
        return Some(("I11", format!("reservation {key} still stands")));
    }
    if world.plan.paying
        && let Some(deposit) = crate::money::unsettled(product, &reservations).await
    {
        return Some(("I11", deposit));
    }
    for n in 0..world.plan.partners {
        for entry in outbox(&durable, n).await {
            let arrived = world.endpoints.of(n, |endpoint| endpoint.arrived.contains_key(&entry.id));
            if entry.notice.sequence.is_some() && !arrived {
                let (kind, key) = (&entry.notice.kind, &entry.notice.order_key);
                let text = format!("partner-{n} has not heard {kind} {:?} of {key}", entry.notice.sequence);
                return Some(("I3", text));
            }
        }
    }
    let commands = world.commands.borrow().clone();
    for (n, id) in commands {
        let result = durable.row("command-result", &format!("CP-{n}/{id}")).await.unwrap_or_default();
        if result.is_none() {
            return Some(("I12", format!("command {id} of CP-{n} has no result")));
        }
    }
    held(product, &rows(&durable, "order").await)
}

/// What the process still holds of what is over (I10): actors beside the chargers' own without a moment at which they will be
/// forgotten, and deliveries in its queues. An order that waits for a person or for money stays.
fn held(product: &Product, orders: &[(String, Value)]) -> Option<(&'static str, String)> {
    let waits = |order: &str| {
        let row = orders.iter().find(|(id, _)| id == order).map(|(_, row)| row["status"].as_str());
        matches!(row, Some(Some("UnderReview" | "AwaitingPayment" | "Unpaid")))
    };
    for partition in product.core.all() {
        for key in partition.keys() {
            let stays = match &key {
                Key::Charger => true,
                Key::Order(order) => waits(&order.to_string()),
                Key::Session(_) | Key::Reservation(_) => false,
            };
            let timers = partition.state(&key).map(|state| ChargingFamily::timers(&state)).unwrap_or_default();
            let stays = stays || timers.iter().any(|deadline| deadline.due > product.clock.now());
            if !stays {
                return Some(("I10", format!("{key} of {} is over and still in memory", partition.stream)));
            }
        }
    }
    for (partner, _, queue) in product.board.all() {
        if queue.depth > 0 {
            return Some(("I10", format!("{} deliveries to {partner} are told and still in its queue", queue.depth)));
        }
    }
    None
}

/// At rest: what every client was told is what the books say.
pub(crate) async fn at_rest(world: &World, product: &Rc<Product>) {
    soon(world);
    let durable = product.disk.durable().fork();
    let sessions = rows(&durable, "session").await;
    transactions(world, &sessions);
    let reservations = rows(&durable, "reservation").await;
    starts(world, &reservations, true);
    early(world, &reservations);
    starts(world, &sessions, false);
    told(world);
    if world.plan.paying {
        crate::money::check(world, product, &rows(&durable, "order").await, &reservations).await;
    }
    let quarantines = rows(&durable, "alert").await.iter().filter(|(_, row)| row["code"] == "quarantined").count();
    if world.poisoned.get() == 0 && quarantines > 0 {
        world.fail("I9", format!("{quarantines} entities were quarantined though nobody poisoned any"));
    }
}

/// Each transaction of a charger is one session with its registers (I1, I4, I8).
fn transactions(world: &World, sessions: &[(String, Value)]) {
    for charger in &world.chargers {
        let charger = charger.borrow();
        let of_charger =
            |row: &&(String, Value)| row.1["charger_id"] == charger.id.as_str() && row.1["transaction_id"].is_i64();
        let theirs: Vec<_> = sessions.iter().filter(of_charger).collect();
        for (local, known) in &charger.physical {
            let Some(id) = known.ids.first() else {
                return world.fail("I1", format!("transaction {local} of {} was never confirmed", charger.id));
            };
            let rows: Vec<_> = theirs.iter().filter(|row| row.1["transaction_id"].as_i64() == Some(*id)).collect();
            let [(session, row)] = rows.as_slice() else {
                let text =
                    format!("transaction {id} of {} was confirmed and is in {} sessions", charger.id, rows.len());
                return world.fail("I1", text);
            };
            let registers = (row["meter_start_wh"].as_i64(), row["meter_stop_wh"].as_i64());
            if registers != (Some(known.meter_start), known.meter_stop) {
                let was = (known.meter_start, known.meter_stop);
                let text =
                    format!("session {session} says {registers:?} of transaction {id}, {} said {was:?}", charger.id);
                return world.fail("I1", text);
            }
            let energy = known.meter_stop.map(|stop| stop - known.meter_start);
            if row["energy_wh"].as_i64() != energy {
                // Not silently: a session whose readings are not believed says so, and a person is asked (SE-14).
                let flags = row["flags"].as_array().cloned().unwrap_or_default();
                if !flags.iter().any(|flag| flag == "energy_implausible" || flag == "meter_backwards") {
                    let text =
                        format!("session {session} has {} Wh, the charger delivered {energy:?}", row["energy_wh"]);
                    return world.fail("I8", text);
                }
                world.count("energy that was not believed");
            }
        }
        if theirs.len() != charger.physical.len() {
            let text =
                format!("{} had {} transactions and has {} sessions", charger.id, charger.physical.len(), theirs.len());
            return world.fail("I4", text);
        }
    }
}

/// Each accepted start is a session that is over; a refused one is none (I1, I2).
fn starts(world: &World, sessions: &[(String, Value)], books: bool) {
    let mut by_request: BTreeMap<(String, String), Vec<&(String, Value)>> = BTreeMap::new();
    for row in sessions {
        if let (Some(partner), Some(request)) = (row.1["partner"].as_str(), row.1["request_id"].as_str()) {
            by_request.entry((partner.to_owned(), request.to_owned())).or_default().push(row);
        }
    }
    for call in world.calls.borrow().iter().filter(|call| call.books == books) {
        let key = (format!("partner-{}", call.partner), call.request.clone());
        let rows = by_request.get(&key).cloned().unwrap_or_default();
        match (call.known, rows.as_slice()) {
            (Known::Ok(session), [(id, _)]) if *id == session.to_string() => {}
            (Known::Ok(session), rows) => {
                let ids: Vec<_> = rows.iter().map(|(id, _)| id).collect();
                return world
                    .fail("I2", format!("{} was accepted as session {session}; the books have {ids:?}", call.request));
            }
            (Known::Refused, []) | (Known::Unknown, _) => {}
            (Known::Refused, rows) => {
                return world.fail("I2", format!("{} was refused and is session {}", call.request, rows[0].0));
            }
        }
    }
}

/// Nobody's time was over before it was (I13), by the wall clock of which the partner was told, or by the time that has really passed where
/// that clock was put back.
fn early(world: &World, reservations: &[(String, Value)]) {
    let put_back = world.plan.steps.iter().filter_map(|step| match step.action {
        Action::Clock { ms } => u64::try_from(-i64::from(ms)).ok(),
        _ => None,
    });
    let put_back = Duration::from_millis(put_back.sum());
    for (id, row) in reservations.iter().filter(|(_, row)| row["end_cause"] == "no_show") {
        let time = |name: &str| row[name].as_str().and_then(|text| Timestamp::parse(text).ok());
        match (time("until"), time("ended_at")) {
            (Some(until), Some(ended)) if ended + put_back >= until => {
                world.count("a reservation that nobody came for")
            }
            times => return world.fail("I13", format!("nobody came for reservation {id}: until and ended {times:?}")),
        }
    }
}

/// Each accepted start was told to its end (I3).
fn told(world: &World) {
    for call in world.calls.borrow().iter().filter(|call| !call.books) {
        let Known::Ok(session) = call.known else { continue };
        let key = format!("session/{session}");
        let kinds: Vec<String> = world.endpoints.of(call.partner, |endpoint| {
            let of = endpoint.arrived.values().filter(|arrived| arrived.order_key == key);
            of.map(|arrived| arrived.kind.clone()).collect()
        });
        let over = kinds.iter().filter(|kind| matches!(kind.as_str(), "session.ended" | "session.failed")).count();
        if over != 1 {
            return world
                .fail("I3", format!("partner-{} heard of the end of {key} {over} times: {kinds:?}", call.partner));
        }
    }
}
