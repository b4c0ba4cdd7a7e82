//! The books against the history: every acknowledged payment counts once, each user's balance is what came in less what orders and
//! reservations took, nothing is frozen at rest, no connector had two holders. Pure.

use super::collect::{Account, Books, Order, Reservation};
use super::record::{Ask, MoneyRecord};
use crate::check::{Kind, Verdict};
use crate::history::Stamped;
use crate::partner::Session;
use crate::time::parse_rfc3339;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What was counted on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Payments whose callback was answered 2xx, and how many of them were credited or taken back.
    pub payments_acknowledged: usize,
    /// See above.
    pub payments_found: usize,
    /// Payments whose callback never came or was never answered, credited all the same: found by asking.
    pub payments_asked_for: usize,
    /// Second payments that went back.
    pub payments_returned: usize,
    /// Accounts whose balance is what the history says.
    pub balances_compared: usize,
    /// Orders by their state.
    pub orders: BTreeMap<String, usize>,
    /// Reservations by their state.
    pub reservations: BTreeMap<String, usize>,
    /// Starts and reservations answered 202, and how many of them the server has.
    pub taken: usize,
    /// See above.
    pub taken_found: usize,
    /// Writes without a binding answer.
    pub unknown: usize,
    /// All that was paid in, minor units.
    pub paid_in: i64,
    /// All that orders and reservations have taken, refunds deducted, minor units.
    pub taken_minor: i64,
    /// What reservations have taken of it, minor units.
    pub fees_minor: i64,
    /// All that is owed, minor units.
    pub owed_minor: i64,
}

impl Figures {
    /// Whether what was to be judged happened at all.
    pub fn is_enough(&self) -> bool {
        let some = |of: &BTreeMap<String, usize>, state: &str| of.get(state).is_some_and(|count| *count > 0);
        self.payments_found > 0
            && self.balances_compared > 0
            && some(&self.orders, "Paid")
            && some(&self.reservations, "Fulfilled")
            && self.fees_minor > 0
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "payments {}/{} + {} by asking, {} taken back, balances {}, taken {}/{}, orders {:?}, reservations {:?}, \
             {} fen in, {} taken ({} for reservations), {} owed, unknown outcomes {}",
            self.payments_found,
            self.payments_acknowledged,
            self.payments_asked_for,
            self.payments_returned,
            self.balances_compared,
            self.taken_found,
            self.taken,
            self.orders,
            self.reservations,
            self.paid_in,
            self.taken_minor,
            self.fees_minor,
            self.owed_minor,
            self.unknown
        )
    }
}

/// One payment at the gateway.
#[derive(Debug, Clone)]
struct Paid<'a> {
    user: &'a str,
    transaction: &'a str,
    minor: i64,
    acknowledged: bool,
}

/// Payments by their intent.
type Intents<'a> = BTreeMap<&'a str, Vec<Paid<'a>>>;

fn intents(records: &[Stamped<MoneyRecord>]) -> Intents<'_> {
    let acknowledged: HashSet<&str> = records
        .iter()
        .filter_map(|record| match &record.it {
            MoneyRecord::Callback { transaction, acknowledged: true, .. } => Some(transaction.as_str()),
            _ => None,
        })
        .collect();
    let mut all: Intents<'_> = BTreeMap::new();
    for record in records {
        if let MoneyRecord::Paid { user, top_up_id, transaction, minor, .. } = &record.it {
            let acknowledged = acknowledged.contains(transaction.as_str());
            all.entry(top_up_id).or_default().push(Paid { user, transaction, minor: *minor, acknowledged });
        }
    }
    all
}

/// How often a payment was credited, and with how much.
fn credited(account: Option<&Account>, transaction: &str) -> (usize, i64) {
    let cause = format!("payment/{transaction}");
    let entries = account.into_iter().flat_map(|account| &account.entries).filter(|entry| entry.cause == cause);
    let sums = entries.map(|entry| entry.available.minor + entry.debt.minor);
    sums.fold((0, 0), |(count, sum), minor| (count + usize::from(minor != 0), sum + minor))
}

/// The first thing that is not at rest yet.
pub fn on_its_way(records: &[Stamped<MoneyRecord>], books: &Books) -> Option<String> {
    let over = |status: &str| ["Failed", "Paid", "Unpaid"].contains(&status);
    if let Some(order) = books.orders.iter().find(|order| !over(&order.status)) {
        return Some(format!("order {} is {}", order.order_id, order.status));
    }
    let held = |status: &str| ["PendingPayment", "Reserved"].contains(&status);
    if let Some(it) = books.reservations.iter().find(|it| held(&it.status)) {
        return Some(format!("reservation {} is {}", it.reservation_id, it.status));
    }
    if let Some((user, account)) = books.accounts.iter().find(|(_, account)| account.frozen.minor != 0) {
        return Some(format!("{user} has {} frozen", account.frozen.minor));
    }
    for payments in intents(records).values() {
        let done = |paid: &&Paid<'_>| credited(books.accounts.get(paid.user), paid.transaction).0 > 0;
        if payments.iter().find(done).is_none() {
            return Some(format!("no payment of {:?} is credited", payments));
        }
        let waits = |paid: &&Paid<'_>| paid.acknowledged && !done(paid) && !books.refunded.contains(paid.transaction);
        if let Some(paid) = payments.iter().find(waits) {
            return Some(format!("{} is not taken back", paid.transaction));
        }
    }
    None
}

/// Judges.
pub fn check(records: &[Stamped<MoneyRecord>], books: &Books, sessions: &[Session], verdict: &mut Verdict) -> Figures {
    let mut figures = Figures::default();
    let paid_in = payments(records, books, &mut figures, verdict);
    for order in &books.orders {
        *figures.orders.entry(order.status.clone()).or_default() += 1;
        check_order(order, verdict);
    }
    balances(books, &paid_in, &mut figures, verdict);
    reservations(books, sessions, &mut figures, verdict);
    taken(records, books, sessions, &mut figures, verdict);
    holders(&books.reservations, sessions, verdict);
    figures
}

/// Each payment is credited once, or taken back; what each user has paid in.
fn payments<'a>(
    records: &'a [Stamped<MoneyRecord>],
    books: &Books,
    figures: &mut Figures,
    verdict: &mut Verdict,
) -> BTreeMap<&'a str, i64> {
    let mut paid_in: BTreeMap<&str, i64> = BTreeMap::new();
    for (intent, payments) in intents(records) {
        let mut counted = 0;
        for paid in &payments {
            let (count, sum) = credited(books.accounts.get(paid.user), paid.transaction);
            let back = books.refunded.contains(paid.transaction);
            counted += count;
            *paid_in.entry(paid.user).or_default() += sum;
            figures.payments_acknowledged += usize::from(paid.acknowledged);
            figures.payments_found += usize::from(paid.acknowledged && (count > 0 || back));
            figures.payments_asked_for += usize::from(!paid.acknowledged && count > 0);
            figures.payments_returned += usize::from(back);
            if count > 0 && sum != paid.minor {
                verdict.add(Kind::BalanceWrong, paid.transaction, format!("paid {}, credited {sum}", paid.minor));
            }
            if count > 0 && back {
                verdict.add(Kind::PaymentDoubled, paid.transaction, "credited, and taken back by the gateway");
            }
            if paid.acknowledged && count == 0 && !back {
                verdict.add(Kind::PaymentLost, paid.transaction, "acknowledged, neither credited nor taken back");
            }
        }
        if counted > 1 {
            verdict.add(Kind::PaymentDoubled, intent, format!("{counted} payments of one top-up are credited"));
        }
        if counted == 0 {
            verdict.add(Kind::PaymentLost, intent, "paid at the gateway, and never credited");
        }
    }
    figures.paid_in = paid_in.values().sum();
    paid_in
}

/// What an order took is its bill.
fn check_order(order: &Order, verdict: &mut Verdict) {
    let (taken, debt) = (order.taken.minor, order.debt.minor);
    let wanted = match order.status.as_str() {
        "Failed" => 0,
        "Paid" | "Unpaid" => order.total.map_or(0, |total| total.minor),
        status => return verdict.add(Kind::OrderHangs, &order.order_id, format!("is {status}")),
    };
    if taken + debt != wanted || (order.status == "Paid" && debt != 0) {
        let detail = format!("{} is {}: {taken} taken, {debt} owed, {wanted} billed", order.kind, order.status);
        verdict.add(Kind::OrderWrong, &order.order_id, detail);
    }
    if order.status == "Paid" && order.bill.as_ref().is_none_or(|bill| bill.total.minor != wanted) {
        verdict.add(Kind::OrderWrong, &order.order_id, format!("billed {:?}, {wanted} to be paid", order.bill));
    }
    if order.refunded.minor > taken {
        verdict.add(Kind::OrderWrong, &order.order_id, format!("{} given back of {taken}", order.refunded.minor));
    }
}

/// What a user has is what came in less what was taken.
fn balances(books: &Books, paid_in: &BTreeMap<&str, i64>, figures: &mut Figures, verdict: &mut Verdict) {
    for (user, account) in &books.accounts {
        let orders = books.orders.iter().filter(|order| order.user_id == *user);
        let (mut spent, mut owed) = (0, 0);
        for order in orders {
            spent += order.taken.minor - order.refunded.minor;
            owed += order.debt.minor;
        }
        let fees = books.reservations.iter().filter(|it| it.user_id == *user);
        let fees = fees.filter_map(|it| it.fee).map(|fee| fee.minor).sum::<i64>();
        spent += fees;
        figures.fees_minor += fees;
        let expected = paid_in.get(user.as_str()).copied().unwrap_or(0) - spent;
        figures.balances_compared += 1;
        figures.taken_minor += spent;
        figures.owed_minor += owed;
        let (available, debt) = (account.available.minor, account.debt.minor);
        if available != expected {
            verdict.add(Kind::BalanceWrong, user, format!("has {available}, {expected} by the history"));
        }
        // The account shows debt as what is owed.
        if debt.abs() != owed {
            verdict.add(Kind::BalanceWrong, user, format!("owes {debt}, {owed} by the orders"));
        }
        if account.frozen.minor != 0 {
            verdict.add(Kind::MoneyFrozen, user, format!("{} frozen though all is at rest", account.frozen.minor));
        }
        let sums = account.entries.iter().fold((0, 0, 0), |(a, f, d), entry| {
            (a + entry.available.minor, f + entry.frozen.minor, d + entry.debt.minor)
        });
        if sums.0 != available || sums.1 != account.frozen.minor || sums.2.abs() != debt.abs() {
            verdict.add(Kind::BalanceWrong, user, format!("its entries sum to {sums:?}"));
        }
    }
}

/// Each reservation is in one final state, and a fulfilled one became one session.
fn reservations(books: &Books, sessions: &[Session], figures: &mut Figures, verdict: &mut Verdict) {
    let known: HashSet<&str> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    let mut names: HashMap<&str, &str> = HashMap::new();
    for it in &books.reservations {
        let id = it.reservation_id.as_str();
        *figures.reservations.entry(it.status.clone()).or_default() += 1;
        if let Some(other) = it.request_id.as_deref().and_then(|name| names.insert(name, id)) {
            verdict.add(Kind::WriteDoubled, id, format!("{:?} made {other} too", it.request_id));
        }
        let arrived = it.session_id.as_deref();
        let whole = match it.status.as_str() {
            "Fulfilled" => arrived.is_some_and(|session| known.contains(session)),
            "Failed" | "Cancelled" | "NoShow" | "Disputed" => arrived.is_none(),
            _ => {
                verdict.add(Kind::ReservationWrong, id, format!("is {} at rest", it.status));
                continue;
            }
        };
        let orders = books.orders.iter().filter(|order| {
            order.kind == "charging" && order.reservation_id.as_deref() == Some(id) && order.status != "Failed"
        });
        let count = orders.count();
        if !whole || count != usize::from(it.status == "Fulfilled") {
            let detail = format!("{} with session {arrived:?} and {count} orders", it.status);
            verdict.add(Kind::ReservationWrong, id, detail);
        }
    }
}

/// What was answered 202 is there.
fn taken(
    records: &[Stamped<MoneyRecord>],
    books: &Books,
    sessions: &[Session],
    figures: &mut Figures,
    verdict: &mut Verdict,
) {
    let sessions: HashSet<&str> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    let orders: HashSet<&str> = books.orders.iter().map(|order| order.order_id.as_str()).collect();
    let reservations: HashSet<&str> = books.reservations.iter().map(|it| it.reservation_id.as_str()).collect();
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for record in records {
        match &record.it {
            MoneyRecord::Asked { request_id, .. } => drop(open.insert(request_id)),
            MoneyRecord::Answered { ask, request_id, id, .. } => {
                open.remove(request_id.as_str());
                let Some(id) = id.as_deref() else { continue };
                let found = match ask {
                    Ask::Start | Ask::Arrive => sessions.contains(id) && orders.contains(id),
                    Ask::Reserve => reservations.contains(id),
                    Ask::TopUp | Ask::Stop | Ask::Extend | Ask::Cancel | Ask::Complain => continue,
                };
                figures.taken += 1;
                figures.taken_found += usize::from(found);
                if !found {
                    verdict.add(Kind::WriteLost, request_id, format!("{ask:?} answered 202 with {id}: not there"));
                }
            }
            MoneyRecord::Unknown { .. } | MoneyRecord::Paid { .. } | MoneyRecord::Callback { .. } => {}
        }
    }
    figures.unknown = open.len();
}

/// No connector had two holders at a time: neither two reservations nor two transactions.
fn holders(reservations: &[Reservation], sessions: &[Session], verdict: &mut Verdict) {
    let end = |text: Option<&str>| text.and_then(parse_rfc3339).unwrap_or(i64::MAX);
    let held = reservations.iter().filter_map(|it| {
        let from = parse_rfc3339(&it.created_at)?;
        let place = (it.charger_id.as_str(), it.connector_id, "reserved");
        // Nobody came: it ends at the promised moment, whenever that is noticed.
        let promised = it.until.as_deref().filter(|_| it.status == "NoShow");
        let until = end(it.ended_at.as_deref()).min(end(promised));
        Some((place, from, until, it.reservation_id.as_str()))
    });
    let charged = sessions.iter().filter(|session| session.transaction_id.is_some()).filter_map(|it| {
        let from = parse_rfc3339(it.started_at.as_deref()?)?;
        let place = (it.charger_id.as_str(), it.connector_id, "charged");
        Some((place, from, end(it.ended_at.as_deref()), it.session_id.as_str()))
    });
    let mut all: Vec<_> = held.chain(charged).collect();
    all.sort_unstable();
    for pair in all.windows(2) {
        let [(place, _, until, one), (next_place, from, _, other)] = pair else { continue };
        if place == next_place && from < until {
            let (charger, connector, how) = place;
            let detail = format!("{how} by {other} from {from}, by {one} until {until}");
            verdict.add(Kind::ConnectorDoubled, format!("{charger}/{connector}"), detail);
        }
    }
}

#[cfg(test)]
mod tests;
