//! Money: an account of the first partner's user, topped up by the payment gateway's word, paying for what is charged. Owns the
//! history of payments and the check that the books agree with it.

use crate::product::Product;
use crate::world::World;
use chargeline::actors::engine::Refusal;
use chargeline::domain::account::{Account, Action, Booked, Outcome, Request, payment_cause, rows, verify};
use chargeline::domain::money::{Currency, Money};
use chargeline::domain::platform::{self, PARTITION, Platform};
use chargeline::domain::tariff::{Scope, Tariff, checked};
use chargeline::persistence::Journal as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The user whose account it is.
pub(crate) const USER: &str = "user-0";

/// A payment of the user's, as the gateway knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payment {
    pub(crate) minor: i64,
    pub(crate) credited: bool,
    pub(crate) asking: bool,
}

/// A yuan a kWh; everywhere.
pub(crate) async fn publish(product: &Product, config: &chargeline::config::Config) {
    let tariff: Tariff = serde_json::from_value(serde_json::json!({"id": "flat", "version": 1, "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "slices": [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 5000, "service": 5000}]}))
    .expect("a tariff");
    let tariff = checked(tariff, &config.tariff.bounds()).expect("a good tariff");
    let (id, scope) = (tariff.get().id.clone(), Scope::Everywhere);
    let roll_out = platform::Command::RollOutTariff { id, version: 1, scope, from: None };
    for command in [platform::Command::PublishTariff(Box::new(tariff)), roll_out] {
        product.platform.ask(PARTITION, Platform, command).await.expect("a tariff can be published");
    }
}

/// The user pays, and the gateway calls back until it is heard.
pub(crate) fn pay(world: &Rc<World>, product: &Rc<Product>, minor: i64) {
    let place = {
        let mut payments = world.payments.borrow_mut();
        payments.push(Payment { minor, credited: false, asking: false });
        payments.len() - 1
    };
    call_back(world, product, place);
}

/// One callback; repeats are the gateway's habit.
pub(crate) fn call_back(world: &Rc<World>, product: &Rc<Product>, place: usize) {
    if std::mem::replace(&mut world.payments.borrow_mut()[place].asking, true) {
        return;
    }
    let (world, product) = (Rc::clone(world), Rc::clone(product));
    actix_rt::spawn(async move {
        let minor = world.payments.borrow()[place].minor;
        let answer = credited(&product, place, minor).await;
        world.tell(format!("payment {place} of {minor} fen: {answer:?}"));
        let mut payments = world.payments.borrow_mut();
        payments[place].asking = false;
        payments[place].credited |= matches!(answer, Some(Outcome::Credited { .. }));
    });
}

async fn credited(product: &Product, place: usize, minor: i64) -> Option<Outcome> {
    let amount = Money::new(minor, Currency::CNY);
    let payment: chargeline::domain::ledger::PaymentId = format!("pay-{place}").parse().ok()?;
    let open = Request::new(format!("top-up/{place}").parse().ok()?, Action::OpenTopUp { amount });
    let opened = product.accounts.ask(USER, open).await;
    let intent = match opened {
        Ok(Outcome::TopUpOpened { intent, .. }) => intent,
        Ok(_) | Err(_) => return None,
    };
    let paid = Action::Payment { payment: payment.clone(), intent, amount, succeeded: true };
    match product.accounts.ask(USER, Request::new(payment_cause(&payment).ok()?, paid)).await {
        Ok(outcome) => Some(outcome),
        Err(Refusal::Rejected(_) | Refusal::Busy | Refusal::Quarantined | Refusal::Crashed) => None,
        Err(Refusal::Full | Refusal::Unavailable(_)) => None,
    }
}

fn minor(value: &Value) -> i64 {
    value["minor"].as_i64().unwrap_or(0)
}

/// The books are sound, and agree with what was paid and with the bills that were told (I5).
pub(crate) async fn check(
    world: &World,
    product: &Product,
    orders: &[(String, Value)],
    reservations: &[(String, Value)],
) {
    let durable = product.disk.durable().fork();
    let Some(account) = product.accounts.read(USER, Account::clone).await else {
        return world.fail("I5", format!("the account of {USER} cannot be read"));
    };
    let entries = durable.rows(rows::ENTRY, &format!("{USER}/"), None, usize::MAX).await.unwrap_or_default();
    let entries: Vec<Booked> = entries.iter().filter_map(|row| serde_json::from_slice(&row.value).ok()).collect();
    let mut findings = verify::Findings::default();
    findings.account(USER, &account, entries);
    findings.finish();
    if !findings.sound() {
        return world.fail("I5", format!("the books are wrong: {:?}", findings.problems));
    }
    // What waits for a person stays frozen.
    let reviewed = |name: &str| orders.iter().any(|(id, row)| name.contains(id) && row["status"] == "UnderReview");
    if let Some(hold) = account.holds.keys().find(|hold| !reviewed(hold.as_str())) {
        return world.fail("I5", format!("an amount is still frozen for {hold}, which is over"));
    }
    let paid: i64 = world.payments.borrow().iter().filter(|payment| payment.credited).map(|it| it.minor).sum();
    let taken: i64 = orders.iter().map(|(_, order)| minor(&order["taken"]) - minor(&order["refunded"])).sum();
    let fees: i64 = reservations.iter().map(|(_, row)| fee(world, row)).sum();
    let there = account.available() + account.frozen();
    if there != paid - taken - fees {
        let text =
            format!("{paid} fen were paid, {taken} taken for orders, {fees} for reservations, {there} are there");
        return world.fail("I5", text);
    }
    told(world, orders);
}

/// What a reservation has taken of its deposit; the rest was given back.
fn fee(world: &World, row: &Value) -> i64 {
    if row["partner"] != "partner-0" || !row["returned"].is_object() {
        return 0;
    }
    let (fee, returned, deposit) = (minor(&row["fee"]), minor(&row["returned"]), minor(&row["terms"]["deposit"]));
    if fee + returned != deposit {
        world.fail("I5", format!("of a deposit of {deposit} fen {fee} were taken and {returned} given back: {row}"));
    }
    world.count(if fee > 0 { "a deposit of which a fee was taken" } else { "a deposit that was given back" });
    fee
}

/// A deposit that is still set aside for a reservation that is over.
pub(crate) async fn unsettled(product: &Product, reservations: &[(String, Value)]) -> Option<String> {
    let account = product.accounts.read(USER, Account::clone).await?;
    let over = |name: &str| reservations.iter().any(|(id, row)| row["open"] != true && name.contains(id.as_str()));
    let hold = account.holds.keys().find(|hold| over(hold.as_str()))?;
    Some(format!("{hold} is not settled"))
}

/// What an order takes is what its partner was told that it costs.
fn told(world: &World, orders: &[(String, Value)]) {
    let bills: BTreeMap<String, i64> = world.endpoints.of(0, |endpoint| endpoint.bills.clone());
    for (id, order) in orders {
        let settled = matches!(order["status"].as_str(), Some("Paid" | "Unpaid" | "AwaitingPayment"));
        let sum = minor(&order["taken"]) + minor(&order["debt"]) + minor(&order["discount"]);
        if settled && order["payer"] == "account" && order["total"].is_object() && sum != minor(&order["total"]) {
            return world.fail("I5", format!("order {id} costs {} and {sum} fen are accounted for", order["total"]));
        }
        world.count(if settled { "a settled order" } else { "an order that failed or is looked at" });
        if let (true, Some(bill)) = (settled && order["partner"] == "partner-0", bills.get(id))
            && order["bill"].is_object()
            && minor(&order["bill"]["total"]) != *bill
        {
            return world
                .fail("I5", format!("partner-0 was told {bill} fen of order {id}: {}", order["bill"]["total"]));
        }
    }
}
