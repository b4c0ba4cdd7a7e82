//! One line of a statement: a settled order, or the difference that came later (RC-3). Owns its form in the store and its
//! place in the order of time.
//!
//! Rows, never changed once written:
//!
//! | table | key | value |
//! |---|---|---|
//! | `settled` | `<partner>/<at, ms, 13 digits>/<order>/<number>` | [`Line`] |
//! | `settled-order` | `<order>/<at, ms, 13 digits>/<number>` | whose: the partner's id |
//!
//! There is no user in it: an erased user changes no byte of a statement.

use crate::clock::Timestamp;
use crate::domain::charging::case::row;
use crate::domain::entity::Row;
use crate::domain::money::Currency;
use crate::domain::order::Kind;
use crate::ids::{ConnectorId, OrderId, PartnerId, SessionId, SiteId, TariffId};
use serde::{Deserialize, Serialize};

/// Lines by partner and time.
pub const TABLE: &str = "settled";
/// Where an order's lines are.
pub const BY_ORDER: &str = "settled-order";

/// What a line says in numbers. Amounts in minor units; electricity, service and other make the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Wh.
    pub energy_wh: i64,
    /// For electricity.
    pub electricity: i64,
    /// For service.
    pub service: i64,
    /// Everything else: time, parking, staying, tax, what a person changed or gave back.
    pub other: i64,
    /// In all.
    pub total: i64,
}

impl Figures {
    /// What has to be added to `before` to make this.
    #[must_use]
    pub fn minus(self, before: Figures) -> Figures {
        Figures {
            energy_wh: self.energy_wh.saturating_sub(before.energy_wh),
            electricity: self.electricity.saturating_sub(before.electricity),
            service: self.service.saturating_sub(before.service),
            other: self.other.saturating_sub(before.other),
            total: self.total.saturating_sub(before.total),
        }
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, more: Figures) -> Figures {
        Figures {
            energy_wh: self.energy_wh.saturating_add(more.energy_wh),
            electricity: self.electricity.saturating_add(more.electricity),
            service: self.service.saturating_add(more.service),
            other: self.other.saturating_add(more.other),
            total: self.total.saturating_add(more.total),
        }
    }

    /// Whether it says nothing.
    pub fn is_zero(self) -> bool {
        self == Figures::default()
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which order.
    pub order: OrderId,
    /// Which line of the order: `1`, `2` …; `d-<statement>-<n>` of a dispute.
    pub number: Box<str>,
    /// It holds a difference from what earlier lines of the order say.
    pub corrects: bool,
    /// When it was written: that decides in which statement it is.
    pub at: Timestamp,
    /// When the order's first line was written: that decides which revenue rule holds.
    pub first_at: Timestamp,
    /// Of which session.
    pub session: SessionId,
    /// Where.
    pub charger: Box<str>,
    /// Where.
    pub connector: ConnectorId,
    /// Where, as far as it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// What for.
    pub kind: Kind,
    /// The user's account here has paid; otherwise the partner settles.
    pub account: bool,
    /// When charging began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The numbers.
    #[serde(flatten)]
    pub figures: Figures,
    /// Of all amounts.
    pub currency: Currency,
    /// By which tariff.
    pub tariff: TariffId,
    /// Which version of it.
    pub version: u32,
    /// Why, if a person made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

impl Line {
    /// Who pays: a word of the wire.
    pub fn payer(&self) -> &'static str {
        payer(self.account)
    }

    /// What for: a word of the wire.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Charging => "charging",
            Kind::Occupancy => "occupancy",
        }
    }
}

/// Who pays: a word of the wire.
pub fn payer(account: bool) -> &'static str {
    if account { "account" } else { "partner" }
}

/// A key that comes before every line of the partner from that moment on, and after every earlier one.
pub fn border(partner: &PartnerId, at: Timestamp) -> String {
    format!("{partner}/{:013}", at.0.max(0))
}

/// Where a line is.
pub fn key(partner: &PartnerId, line: &Line) -> String {
    format!("{}/{}/{}", border(partner, line.at), line.order, line.number)
}

/// The key of the pointer from the order.
pub fn order_key(line: &Line) -> String {
    format!("{}/{:013}/{}", line.order, line.at.0.max(0), line.number)
}

/// The key of a line from that of its pointer, if it is one.
pub fn key_of_pointer(partner: &PartnerId, pointer: &str) -> Option<(Timestamp, String)> {
    let mut parts = pointer.splitn(3, '/');
    let (order, at, number) = (parts.next()?, parts.next()?, parts.next()?);
    let millis: i64 = at.parse().ok()?;
    Some((Timestamp(millis), format!("{partner}/{at}/{order}/{number}")))
}

/// The rows of a line.
pub fn rows(partner: &PartnerId, line: &Line) -> Vec<Row> {
    vec![row(TABLE, key(partner, line), line), row(BY_ORDER, order_key(line), partner)]
}
