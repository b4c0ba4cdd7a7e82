//! Tables of orders: every end, what is asked of the account, what is told.

pub(crate) mod bank;
mod compat;
mod ends;
mod funds;
mod people;
mod stated;
mod states;
mod staying;

use super::{Command, Order, Status};
use crate::domain::charger::{Status as ConnectorStatus, StopReason};
use crate::domain::charging::purse::{AccountOutcome, AccountRequest};
use crate::domain::charging::testkit::{World, accepted};
use crate::domain::charging::{Command as FamilyCommand, Effect, Key, Rejection, Reply, State};
use crate::domain::money::Currency;
use crate::domain::session::Limits;
use crate::domain::tariff::{Book, BookChange, Scope, Tariff};
use crate::ids::{OrderId, SessionId, TransactionId};
use bank::Bank;
use std::sync::Arc;

/// One yuan a kWh: half electricity, half service; staying costs half a yuan a minute after 10, 5 yuan at the most.
pub(crate) fn tariff() -> Tariff {
    serde_json::from_value(
        serde_json::json!({"id": "flat", "version": 1, "currency": "CNY", "time_zone": "Asia/Shanghai",
        "slices": [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 5000, "service": 5000}],
        "occupancy": {"grace_minutes": 10, "per_minute": 5000, "cap": 50_000}}),
    )
    .unwrap()
}

pub(crate) fn book(tariff: Tariff) -> Arc<Book> {
    let mut book = Book::default();
    let (id, from) = (tariff.id.clone(), crate::clock::Timestamp(0));
    book.apply(&BookChange::Published { tariff: Box::new(tariff) });
    book.apply(&BookChange::RolledOut { id, version: 1, scope: Scope::Everywhere, from });
    Arc::new(book)
}

pub(crate) fn order_of(session: SessionId) -> OrderId {
    OrderId(session.0)
}

impl World {
    /// As [`World::ready`], with a tariff.
    pub(crate) fn priced() -> Self {
        let mut world = World::ready();
        world.ambient.tariffs = Some(book(tariff()));
        world
    }

    /// With a tariff, and accounts for acme's users.
    pub(crate) fn paying() -> Self {
        let mut world = World::priced();
        world.ambient.account_partners = vec!["acme".parse().unwrap()].into();
        world
    }

    pub(crate) fn order(&self, id: OrderId) -> &Order {
        self.states[&Key::Order(id)].order().unwrap()
    }

    fn order_status(&self, session: SessionId) -> Option<Status> {
        self.states.get(&Key::Order(order_of(session))).and_then(State::order).and_then(|order| order.status)
    }

    /// What the accounts were asked so far and nobody has taken.
    pub(crate) fn take_asked(&mut self) -> Vec<(String, AccountRequest)> {
        let mut asked = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::AskAccount { request, .. } => {
                asked.push((request.cause().to_owned(), request.clone()));
                false
            }
            Effect::SendCall { .. } | Effect::CloseLink { .. } | Effect::SignCertificate { .. } | Effect::Alert(_) => {
                true
            }
        });
        asked
    }

    /// An account's answer, to whoever it names.
    pub(crate) fn answer_account(&mut self, cause: &str, outcome: AccountOutcome) {
        let id = cause.split('/').nth(1).unwrap().parse().unwrap();
        let answered = FamilyCommand::AccountAnswered { cause: cause.into(), outcome };
        self.ask(Key::Order(id), answered).unwrap();
    }

    /// The bank answers everything that is asked, and what follows.
    pub(crate) fn bank(&mut self, bank: &mut Bank) {
        loop {
            let asked = self.take_asked();
            if asked.is_empty() {
                return;
            }
            for (cause, request) in asked {
                let outcome = bank.ask(request, self.now);
                self.answer_account(&cause, outcome);
            }
        }
    }

    pub(crate) fn tell_order(&mut self, id: OrderId, command: Command) -> Result<Status, Rejection> {
        match self.ask(Key::Order(id), command)? {
            Reply::OrderNow(status) => Ok(status),
            other => panic!("{other:?}"),
        }
    }

    /// A session of a user with an account that charges from 1000 Wh on connector 1.
    pub(crate) fn flowing(bank: &mut Bank) -> (Self, SessionId, TransactionId) {
        Self::flowing_with(bank, Limits::default())
    }

    fn flowing_with(bank: &mut Bank, limits: Limits) -> (Self, SessionId, TransactionId) {
        let mut world = World::paying();
        let session = world.open_with(1, 1, limits, None).unwrap();
        world.bank(bank);
        world.answer(accepted());
        let tag = world.tag(session);
        let transaction = world.start(1, tag, 1000, "m1");
        world.status(1, ConnectorStatus::Charging);
        world.bank(bank);
        world.clear();
        (world, session, transaction)
    }

    /// It ends at that register, an hour later.
    pub(crate) fn ends_at(&mut self, bank: &mut Bank, transaction: TransactionId, meter: i64) {
        self.pass(3600);
        self.stop(transaction, meter, Some(StopReason::EVDisconnected), "m9");
        self.status(1, ConnectorStatus::Available);
        self.bank(bank);
    }
}

fn yuan(minor: i64) -> crate::domain::money::Money {
    crate::domain::money::Money::new(minor, Currency::CNY)
}
