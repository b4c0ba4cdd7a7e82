//! The partners: their calls with what became of each, and their endpoints with everything that arrived. Owns the history
//! (invoke, ok, refused, unknown); never a look into the product.

use crate::plan::Mood;
use crate::product::Product;
use crate::world::World;
use async_trait::async_trait;
use chargeline::actors::engine::Refusal;
use chargeline::actors::webhook::{Deliver, Delivery};
use chargeline::domain::charger::{self, Opening};
use chargeline::domain::charging::{Key, Rejection};
use chargeline::domain::delivery::Answer;
use chargeline::domain::reservation::{Booking, CancelBy, Command as Wish, Rule};
use chargeline::domain::session::{self, StopBy};
use chargeline::ids::{ConnectorId, ReservationId, SessionId};
use chargeline::persistence::CreateOnce;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a claimed request id is remembered.
const TTL: Duration = Duration::from_secs(7 * 86_400);

/// What became of a call, as far as its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Not answered: it may or may not have happened.
    Unknown,
    /// Done.
    Ok(SessionId),
    /// Refused for good.
    Refused,
}

/// A start of charging, or a reservation.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) partner: usize,
    pub(crate) request: String,
    pub(crate) charger: usize,
    pub(crate) connector: u16,
    /// It reserves, and starts nothing.
    pub(crate) books: bool,
    /// Its user has an account: a reservation takes a deposit from it.
    pub(crate) account: bool,
    /// The reservation that it uses.
    pub(crate) uses: Option<ReservationId>,
    pub(crate) known: Known,
    pub(crate) asking: bool,
    /// The sessions that any answer named.
    pub(crate) named: BTreeSet<SessionId>,
    pub(crate) stops: u32,
}

/// An event as it arrived first.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) times: u32,
    pub(crate) body: u64,
    pub(crate) order_key: String,
    pub(crate) kind: String,
}

/// All endpoints. Shared with the product's queues.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    book: Mutex<BTreeMap<usize, Endpoint>>,
}

/// One.
#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) mood: Option<Mood>,
    pub(crate) flaps: u32,
    pub(crate) arrived: BTreeMap<String, Arrived>,
    /// Sequences in the order of their first arrival, by order key.
    pub(crate) orders: BTreeMap<String, Vec<u64>>,
    pub(crate) redelivered: u32,
    pub(crate) gone: u32,
    /// An id came again with another body.
    pub(crate) changed: Option<String>,
    /// What each order costs, as told last.
    pub(crate) bills: BTreeMap<String, i64>,
    /// What arrived, for the trace; taken by the world.
    pub(crate) news: Vec<String>,
}

impl Endpoints {
    pub(crate) fn of<R>(&self, partner: usize, run: impl FnOnce(&mut Endpoint) -> R) -> R {
        let mut book: MutexGuard<'_, _> = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        run(book.entry(partner).or_default())
    }

    fn arrives(&self, partner: usize, delivery: &Delivery) {
        // No event: that the URL is the partner's is asked; the sender sees that the challenge comes back.
        if delivery.challenge.is_some() {
            return;
        }
        let value: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
        let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let (order_key, kind, sequence) = (text("order_key"), text("type"), value["sequence"].as_u64());
        let body = crate::world::hash(&delivery.body);
        let bill = value["data"]["bill"]["total"]["minor"].as_i64();
        let order = value["data"]["order_id"].as_str().map(str::to_owned);
        self.of(partner, |endpoint| {
            if let (Some(order), Some(bill)) = (order, bill) {
                endpoint.bills.insert(order, bill);
            }
            let again = endpoint.arrived.get_mut(&delivery.id).map(|known| {
                known.times += 1;
                known.body == body
            });
            match again {
                Some(same) => {
                    endpoint.redelivered += 1;
                    if !same {
                        endpoint.changed = Some(delivery.id.clone());
                    }
                }
                None => {
                    if let Some(sequence) = sequence {
                        endpoint.orders.entry(order_key.clone()).or_default().push(sequence);
                    }
                    let first = Arrived { times: 1, body, order_key: order_key.clone(), kind: kind.clone() };
                    endpoint.arrived.insert(delivery.id.clone(), first);
                }
            }
            let again = if again.is_some() { " again" } else { "" };
            let number = sequence.map_or(String::new(), |number| format!(" {number}"));
            endpoint.news.push(format!("partner-{partner} hears{again} {kind}{number} of {order_key}"));
        });
    }
}

/// The endpoints as the queues reach them.
pub(crate) struct Ways(pub(crate) Arc<Endpoints>);

fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after_ms: None, excerpt: String::new() }
}

#[async_trait]
impl Deliver for Ways {
    async fn deliver(&self, delivery: Delivery) -> Answer {
        let host = delivery.url.strip_prefix("https://partner-").and_then(|rest| rest.split('.').next());
        let partner = host.and_then(|host| host.parse().ok()).unwrap_or(usize::MAX);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let (mood, flaps) = self.0.of(partner, |endpoint| {
            endpoint.flaps += 1;
            (endpoint.mood.unwrap_or(Mood::Well), endpoint.flaps)
        });
        let arrives = || self.0.arrives(partner, &delivery);
        match mood {
            Mood::Flapping if flaps % 2 == 0 => status(503),
            Mood::Well | Mood::Flapping => {
                arrives();
                tokio::time::sleep(Duration::from_millis(20)).await;
                status(204)
            }
            Mood::Slow => {
                arrives();
                // The sender's own limit.
                tokio::time::sleep(Duration::from_secs(15)).await;
                Answer::TimedOut
            }
            Mood::LosesAnswers => {
                arrives();
                Answer::Broken("the connection was reset".to_owned())
            }
            Mood::Dead => Answer::ConnectFailed("connection refused".to_owned()),
            Mood::Failing => status(500),
            Mood::Busy => Answer::Status { code: 429, retry_after_ms: Some(7_000), excerpt: String::new() },
            Mood::Gone => {
                self.0.of(partner, |endpoint| endpoint.gone += 1);
                status(410)
            }
        }
    }
}

/// Who wants something where: partner, charger, connector.
pub(crate) type At = (usize, usize, u16);

/// Begins a start or a reservation, and asks until it is known what became of it.
pub(crate) fn start(world: &Rc<World>, product: &Rc<Product>, (partner, charger, connector): At, books: bool) {
    let mut calls = world.calls.borrow_mut();
    let request = format!("{}-{}", if books { "reserve" } else { "start" }, calls.len());
    let mine =
        |call: &&Call| call.books && (call.partner, call.charger, call.connector) == (partner, charger, connector);
    let uses = match calls.iter().rev().find(mine).filter(|_| !books).map(|call| call.known) {
        Some(Known::Ok(reservation)) => Some(ReservationId(reservation.0)),
        Some(Known::Unknown | Known::Refused) | None => None,
    };
    calls.push(Call {
        partner,
        request,
        charger,
        connector,
        books,
        account: partner == 0 && world.plan.paying,
        uses,
        known: Known::Unknown,
        asking: false,
        named: BTreeSet::new(),
        stops: 0,
    });
    let place = calls.len() - 1;
    drop(calls);
    ask_soon(world, product, place);
}

/// Asks again about a call: a repeat, or because nothing is known of it.
pub(crate) fn ask_soon(world: &Rc<World>, product: &Rc<Product>, place: usize) {
    if std::mem::replace(&mut world.calls.borrow_mut()[place].asking, true) {
        return;
    }
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    actix_rt::spawn(async move {
        let call = world.calls.borrow()[place].clone();
        let answered = asked(&product, &call).await;
        world.calls.borrow_mut()[place].asking = false;
        let what = format!("partner-{} asks for {}", call.partner, call.request);
        match answered {
            Ok(session) => {
                world.tell(format!("{what}: {session} it is"));
                let mut calls = world.calls.borrow_mut();
                calls[place].named.insert(session);
                let (before, named) = (calls[place].known, calls[place].named.len());
                calls[place].known = Known::Ok(session);
                drop(calls);
                if named > 1 || before == Known::Refused {
                    world.fail("I2", format!("{what} was answered {before:?} before and session {session} now"));
                }
            }
            Err(Some(code)) => {
                world.tell(format!("{what}: refused, {code}"));
                let before = std::mem::replace(&mut world.calls.borrow_mut()[place].known, Known::Refused);
                if let Known::Ok(session) = before {
                    world.fail("I2", format!("{what} was answered session {session} before and {code} now"));
                }
            }
            Err(None) => {
                world.count("a call whose outcome is unknown");
                world.tell(format!("{what}: not known yet"));
            }
        }
    });
}

/// What a refusal of the engine means to the caller; `None`: try again.
fn for_good(refusal: &Refusal<Rejection>) -> Option<String> {
    match refusal {
        Refusal::Rejected(rejection) => Some(format!("{rejection:?}")),
        Refusal::Busy | Refusal::Quarantined | Refusal::Crashed | Refusal::Full | Refusal::Unavailable(_) => None,
    }
}

/// One try, as the partner API drives it: the request id is claimed with a session id, then the charger asked, then a refusal
/// kept, so that a repeat gets the same answer (EM-5).
async fn asked(product: &Rc<Product>, call: &Call) -> Result<SessionId, Option<String>> {
    if product.journal.is_full() {
        return Err(None);
    }
    let name = format!("partner-{}", call.partner);
    let claim = format!("claim/{name}/{}", call.request);
    let fresh = SessionId(uuid(&product.clock, &claim));
    let claimed = product.journal.create_once(&claim, fresh.to_string().as_bytes(), TTL).await.map_err(|_| None)?;
    let session = match claimed {
        CreateOnce::Created => fresh,
        CreateOnce::Exists(first) => String::from_utf8_lossy(&first).parse().map_err(|_| None)?,
    };
    let refused = format!("refused/{name}/{}", call.request);
    if let Some(code) = product.journal.lookup_once(&refused).await.map_err(|_| None)? {
        return Err(Some(String::from_utf8_lossy(&code).into_owned()));
    }
    let table = if call.books { "reservation" } else { "session" };
    if product.journal.row(table, &session.to_string()).await.map_err(|_| None)?.is_some() {
        return Ok(session);
    }
    let opening = Opening {
        session,
        request: call.request.parse().map_err(|_| None)?,
        partner: name.parse().map_err(|_| None)?,
        connector: ConnectorId(call.connector),
        user: format!("user-{}", call.partner).into(),
        sealed: None,
        limits: session::Limits::default(),
        deadline: None,
        reservation: call.uses,
    };
    let command = match call.books {
        true => charger::Command::Reserve(Box::new(booking(product, opening, call.account))),
        false => charger::Command::StartSession(Box::new(opening)),
    };
    match product.chargers.ask(&format!("CP-{}", call.charger), Key::Charger, command.into()).await {
        Ok(_) | Err(Refusal::Rejected(Rejection::SessionExists | Rejection::ReservationExists)) => Ok(session),
        Err(refusal) => {
            let code = for_good(&refusal).ok_or(None)?;
            match product.journal.create_once(&refused, code.as_bytes(), TTL).await {
                Ok(_) => Err(Some(code)),
                Err(_) => Err(None),
            }
        }
    }
}

/// The reservation of the same partner, user and place.
fn booking(product: &Product, opening: Opening, account: bool) -> Booking {
    Booking {
        reservation: ReservationId(opening.session.0),
        request: opening.request,
        partner: opening.partner,
        connector: opening.connector,
        user: opening.user,
        sealed: None,
        ahead: Duration::ZERO,
        length: None,
        account,
        rule: Rule::configured(&product.reserving),
    }
}

/// Gives a reservation up.
pub(crate) fn cancel(world: &Rc<World>, product: &Rc<Product>, place: usize) {
    let call = world.calls.borrow()[place].clone();
    let Known::Ok(id) = call.known else { return };
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    actix_rt::spawn(async move {
        let charger = format!("CP-{}", call.charger);
        let key = Key::Reservation(ReservationId(id.0));
        let answer = product.chargers.ask(&charger, key, Wish::Cancel(CancelBy::Partner).into()).await;
        world.tell(format!("reservation {id} is given up: {answer:?}"));
    });
}

/// A version 7 number of the moment and the claim.
fn uuid(clock: &chargeline::clock::SharedClock, claim: &str) -> uuid::Uuid {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&crate::world::hash(claim.as_bytes()).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(clock.now().0.unsigned_abs(), &bytes).into_uuid()
}

/// Stops a session, for a partner or by an operator.
pub(crate) fn stop(world: &Rc<World>, product: &Rc<Product>, place: usize, operator: bool) {
    let mut calls = world.calls.borrow_mut();
    calls[place].stops += 1;
    let (charger, known, stops) = (calls[place].charger, calls[place].known, calls[place].stops);
    drop(calls);
    let Known::Ok(session) = known else { return };
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    actix_rt::spawn(async move {
        let by = if operator {
            StopBy::Operator("ops".into())
        } else {
            StopBy::Partner(format!("stop-{place}-{stops}").parse().expect("a good id"))
        };
        let charger = format!("CP-{charger}");
        let asked = product.chargers.ask(&charger, Key::Session(session), session::Command::Stop(by).into());
        let answer = match asked.await {
            Ok(reply) => format!("{reply:?}"),
            Err(refusal) => format!("refused, {refusal:?}"),
        };
        world.tell(format!("session {session} is to stop: {answer}"));
    });
}

/// What is wrong with what a partner has received so far (I3).
pub(crate) fn flaw(endpoints: &Endpoints, partner: usize) -> Option<String> {
    endpoints.of(partner, |endpoint| {
        if let Some(id) = &endpoint.changed {
            return Some(format!("event {id} came again to partner-{partner} with another body"));
        }
        endpoint.orders.iter().find_map(|(key, seen)| {
            let right = seen.iter().enumerate().all(|(place, sequence)| *sequence == place as u64 + 1);
            (!right).then(|| format!("partner-{partner} first heard the events of {key} in the order {seen:?}"))
        })
    })
}
