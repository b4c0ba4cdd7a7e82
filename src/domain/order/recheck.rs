//! Whether a settled order is right, by a second path (MO-9): its row, its session's row and its tariff are read afresh, the session
//! is priced again by [`pricing::again`], and what was taken is added up. Pure; owns no row.

use super::state::{Kind, Status};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::domain::pricing::{Bill, Register, Usage, again};
use crate::domain::tariff::Tariff;
use crate::ids::{OrderId, SessionId, TariffId};
use serde::{Deserialize, Deserializer};

/// An order's row, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OrderRow {
    /// Which.
    pub order_id: OrderId,
    /// What for.
    pub kind: Kind,
    /// How far it is.
    pub status: Status,
    /// Of which session.
    pub session_id: SessionId,
    /// `account` or `partner`.
    pub payer: Box<str>,
    /// By which tariff.
    pub tariff_id: TariffId,
    /// Which version of it.
    pub tariff_version: u32,
    /// When it was placed.
    #[serde(deserialize_with = "moment")]
    pub created_at: Timestamp,
    /// When it came to its end.
    #[serde(default, deserialize_with = "maybe_moment")]
    pub ended_at: Option<Timestamp>,
    /// Its bill.
    #[serde(default)]
    pub bill: Option<Bill>,
    /// What is to be paid.
    #[serde(default)]
    pub total: Option<Money>,
    /// What was taken.
    pub taken: Money,
    /// What a coupon has paid.
    #[serde(default)]
    pub discount: Option<Money>,
    /// What is owed.
    pub debt: Money,
    /// Who settled it, or corrected it, by hand.
    #[serde(default)]
    pub settled_by: Option<Box<str>>,
}

/// A session's row, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SessionRow {
    /// When it began.
    #[serde(default, deserialize_with = "maybe_moment")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, deserialize_with = "maybe_moment")]
    pub ended_at: Option<Timestamp>,
    /// The register at its start.
    #[serde(default)]
    pub meter_start_wh: Option<i64>,
    /// All of its energy, Wh.
    #[serde(default)]
    pub energy_wh: i64,
    /// Its readings.
    #[serde(default)]
    pub readings: Vec<ReadingRow>,
}

/// A reading.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReadingRow {
    /// When.
    #[serde(deserialize_with = "moment")]
    pub at: Timestamp,
    /// The register.
    #[serde(default)]
    pub energy_wh: Option<i64>,
}

fn moment<'de, D: Deserializer<'de>>(d: D) -> Result<Timestamp, D::Error> {
    Timestamp::parse(&Box::<str>::deserialize(d)?).map_err(serde::de::Error::custom)
}

fn maybe_moment<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<Box<str>>::deserialize(d)?;
    text.map(|text| Timestamp::parse(&text)).transpose().map_err(serde::de::Error::custom)
}

/// Of so many parts `share` are looked at.
pub const PARTS: u32 = 10_000;

/// Whether this order is one of those that are looked at: by its random part, so that nobody chooses.
pub fn is_chosen(id: OrderId, share: u32) -> bool {
    u32::try_from(id.0.as_u128() % u128::from(PARTS)).unwrap_or(0) < share
}

/// What is wrong with a settled order; empty: both paths agree. `session` and `tariff`: what its rows name, if it is there.
pub fn problems(order: &OrderRow, session: Option<&SessionRow>, tariff: Option<&Tariff>) -> Vec<String> {
    let mut found = Vec::new();
    let Some(bill) = &order.bill else {
        return vec!["it is settled and has no bill".to_owned()];
    };
    let sum = bill.lines.iter().fold(0, |sum: i64, line| sum.saturating_add(line.amount.minor));
    if sum != bill.total.minor {
        found.push(format!("its lines sum to {sum}, its bill says {}", bill.total));
    }
    found.extend(paid(order, bill));
    if order.kind == Kind::Charging {
        match (session, tariff) {
            (None, _) => found.push(format!("its session {} has no row", order.session_id)),
            (_, None) => {
                found.push(format!("version {} of tariff {} is not there", order.tariff_version, order.tariff_id));
            }
            (Some(session), Some(tariff)) => found.extend(priced(bill, session, tariff)),
        }
    }
    found
}

/// What was taken, given off and owed is what was to be paid, and that is the bill unless a person or a correction changed it.
fn paid(order: &OrderRow, bill: &Bill) -> Vec<String> {
    let mut found = Vec::new();
    let total = order.total.unwrap_or(bill.total).minor;
    if order.settled_by.is_none() && total != bill.total.minor {
        found.push(format!("{total} was to be paid, its bill says {}", bill.total));
    }
    let parts = [order.taken.minor, order.debt.minor, order.discount.map_or(0, |it| it.minor)];
    let sum = parts.iter().fold(0, |sum: i64, minor| sum.saturating_add(*minor));
    if &*order.payer == "account" && sum != total {
        found.push(format!("taken, owed and given off are {parts:?}, {total} was to be paid"));
    }
    found
}

fn priced(bill: &Bill, session: &SessionRow, tariff: &Tariff) -> Vec<String> {
    let (Some(start), Some(end), Some(start_wh)) = (session.started_at, session.ended_at, session.meter_start_wh)
    else {
        return vec!["its session's row says no start, end or register".to_owned()];
    };
    let mut found = Vec::new();
    if bill.energy_wh != session.energy_wh {
        found.push(format!("{} Wh are billed, its session has {}", bill.energy_wh, session.energy_wh));
    }
    let readings =
        session.readings.iter().filter_map(|it| Some(Register { at: it.at, wh: it.energy_wh?, late: false }));
    let end_wh = start_wh.saturating_add(session.energy_wh);
    let (readings, parked) = (readings.collect(), Vec::new());
    let usage = Usage { start, end, start_wh, end_wh, readings, parked, gap_after_ms: i64::MAX, estimated: false };
    match again::compare(tariff, &usage, bill) {
        Ok(differences) => found.extend(differences.iter().map(|it| {
            let name =
                tariff.slices.get(usize::from(it.slice)).map(|slice| format!("{:?}", slice.name)).unwrap_or_default();
            format!(
                "{:?} of slice {name}: {} billed, {} by the second path, {} allowed",
                it.kind, it.billed, it.again, it.allowed
            )
        })),
        Err(error) => found.push(format!("it cannot be priced again: {error}")),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::charging::testkit::World;
    use crate::domain::order::tests::{bank::Bank, order_of, tariff};
    use serde_json::Value;

    /// A settled order of 20 kWh, as its rows have it.
    fn rows() -> (Value, Value) {
        let mut bank = Bank::with(10_000);
        let (mut world, session, transaction) = World::flowing(&mut bank);
        for minute in 1..20 {
            world.pass(60);
            world.meter(transaction, 1_000 + 1_000 * minute);
        }
        world.ends_at(&mut bank, transaction, 21_000);
        (world.row("order", &order_of(session).to_string()), world.row("session", &session.to_string()))
    }

    fn looked_at(order: &Value, session: &Value) -> Vec<String> {
        let order: OrderRow = serde_json::from_value(order.clone()).unwrap();
        let session: SessionRow = serde_json::from_value(session.clone()).unwrap();
        problems(&order, Some(&session), Some(&tariff()))
    }

    #[test]
    fn a_settled_order_is_the_same_by_both_paths_and_whatever_is_changed_is_found() {
        let (order, session) = rows();
        assert_eq!(looked_at(&order, &session), Vec::<String>::new());
        // What is changed in the rows, and a word of what is found.
        let changed = |pointer: &str, value: Value| {
            let (mut order, mut session) = (order.clone(), session.clone());
            let place = pointer
                .strip_prefix("/session")
                .map_or_else(|| order.pointer_mut(pointer), |it| session.pointer_mut(it));
            *place.unwrap() = value;
            looked_at(&order, &session).join("; ")
        };
        for (pointer, value, word) in [
            ("/bill/total/minor", 2_001.into(), "lines sum to"),
            ("/bill/lines/0/amount/minor", 900.into(), "by the second path"),
            ("/bill/energy_wh", 19_000.into(), "Wh are billed"),
            ("/taken/minor", 1_999.into(), "was to be paid"),
            ("/debt/minor", 1.into(), "was to be paid"),
            ("/total/minor", 1_900.into(), "was to be paid"),
            ("/bill", Value::Null, "no bill"),
            ("/session/energy_wh", 25_000.into(), "by the second path"),
            ("/session/started_at", Value::Null, "says no start"),
        ] {
            let found = changed(pointer, value);
            assert!(found.contains(word), "{pointer}: {found}");
        }
        let order: OrderRow = serde_json::from_value(order).unwrap();
        let session: SessionRow = serde_json::from_value(session).unwrap();
        assert!(problems(&order, None, Some(&tariff())).join("").contains("has no row"));
        assert!(problems(&order, Some(&session), None).join("").contains("is not there"));
    }

    #[test]
    fn about_the_share_that_was_asked_for_is_chosen() {
        let ids = || {
            (0..100_000u128)
                .map(|n| OrderId(uuid::Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))))
        };
        let chosen = ids().filter(|id| is_chosen(*id, 100)).count();
        assert!((900..1_100).contains(&chosen), "{chosen}");
        assert_eq!(ids().filter(|id| is_chosen(*id, 0)).count(), 0);
        assert_eq!(ids().filter(|id| is_chosen(*id, PARTS)).count(), 100_000);
    }
}
