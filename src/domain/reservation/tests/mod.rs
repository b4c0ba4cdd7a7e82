//! Tables of reservations: every end, what it costs, who is let in, what the device is told.

mod arrivals;
mod deposits;
mod device;
mod ends;
pub(crate) mod simulation;
mod states;

use super::{Booking, CancelBy, Command, Complaint, Grievance, Reservation, Rule, Status};
use crate::domain::charger::{self, Call, Hold, Status as ConnectorStatus, Tag, TokenInfo, Verdict};
use crate::domain::charging::testkit::World;
use crate::domain::charging::{Key, Rejection, Reply, State};
use crate::domain::money::{Currency, Money};
use crate::ids::{ConnectorId, ReservationId, SessionId};
use std::time::Duration;

fn id(n: u128) -> ReservationId {
    ReservationId(uuid::Uuid::from_u128(n))
}

fn yuan(minor: i64) -> Money {
    Money::new(minor, Currency::CNY)
}

/// 20 yuan of deposit, 5 for giving up after 5 minutes, 10 for not coming.
fn rule() -> Rule {
    Rule {
        deposit: yuan(2000),
        free_cancel: Duration::from_secs(300),
        late_cancel_fee: yuan(500),
        no_show_fee: yuan(1000),
    }
}

fn booking(n: u128, connector: u16) -> Booking {
    Booking {
        reservation: id(n),
        request: format!("b{n}").parse().unwrap(),
        partner: "acme".parse().unwrap(),
        connector: ConnectorId(connector),
        user: "u1".into(),
        sealed: Some("sealed".into()),
        ahead: Duration::ZERO,
        length: None,
        account: false,
        rule: rule(),
    }
}

impl World {
    fn reserve(&mut self, booking: Booking) -> Result<ReservationId, Rejection> {
        let id = booking.reservation;
        match self.ask(Key::Charger, charger::Command::Reserve(Box::new(booking)))? {
            Reply::Reserved(_) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    /// Connector 1 is held for user u1 of acme, and the device holds it as well.
    fn held() -> Self {
        let mut world = World::ready();
        world.reserve(booking(1, 1)).unwrap();
        world.answer_all();
        world
    }

    fn reservation(&self, n: u128) -> Option<&Reservation> {
        self.states.get(&Key::Reservation(id(n))).and_then(State::reservation)
    }

    fn hold(&self, n: u128) -> &Hold {
        self.charger().hold(id(n)).unwrap()
    }

    fn cancel(&mut self, n: u128, by: CancelBy) -> Result<Status, Rejection> {
        self.ask_reservation(n, Command::Cancel(by))
    }

    fn complain(&mut self, n: u128) -> Result<Status, Rejection> {
        let complaint = Complaint { grievance: Grievance::Occupied, text: Some("a van".into()) };
        self.ask_reservation(n, Command::Complain(complaint))
    }

    fn ask_reservation(&mut self, n: u128, command: Command) -> Result<Status, Rejection> {
        match self.ask(Key::Reservation(id(n)), command)? {
            Reply::ReservationNow(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    /// A partner's start for a user, maybe with a reservation.
    fn open_for(&mut self, n: u128, connector: u16, user: &str, named: Option<u128>) -> Result<SessionId, Rejection> {
        let opening = charger::Opening {
            session: SessionId(uuid::Uuid::from_u128(n)),
            request: format!("r{n}").parse().unwrap(),
            partner: "acme".parse().unwrap(),
            connector: ConnectorId(connector),
            user: user.into(),
            sealed: None,
            limits: crate::domain::session::Limits::default(),
            deadline: None,
            reservation: named.map(id),
        };
        let session = opening.session;
        self.ask(Key::Charger, charger::Command::StartSession(Box::new(opening))).map(|_| session)
    }

    fn ended(&self, n: u128) -> serde_json::Value {
        self.row("reservation", &id(n).to_string())
    }

    fn shown(&self, connector: u16) -> ConnectorStatus {
        self.charger().shown_status(ConnectorId(connector))
    }

    fn reserve_calls(&self) -> Vec<&'static str> {
        let calls = self.calls().into_iter();
        calls
            .filter(|call| matches!(call, Call::ReserveNow { .. } | Call::CancelReservation { .. }))
            .map(Call::action)
            .collect()
    }
}

/// The card of a user of acme's.
fn card(user: &str) -> Tag {
    let owner = Some(("acme".parse().unwrap(), user.into()));
    Tag::Token(TokenInfo { reference: format!("card-{user}").into(), verdict: Verdict::Accepted, owner })
}
