//! A statement as its partner and operators see it. Owns the shape; never a fact.

use super::period::{Dispute, Paper, Period, Status};
use super::totals::{Balance, Totals};
use super::{file::Sum, line::Figures};
use crate::clock::Timestamp;
use crate::domain::charging::case;
use crate::ids::{OrderId, PartnerId, StatementId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A statement. Everything in it but `status`, the counts, `settled` and `papers` is fixed when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Which.
    pub statement_id: StatementId,
    /// Whose.
    pub partner_id: PartnerId,
    /// Where it is.
    pub status: Status,
    /// Lines from then on.
    pub from: String,
    /// Until then, exclusive.
    pub until: String,
    /// Whose midnights.
    pub time_zone: Box<str>,
    /// When it was made.
    pub made_at: String,
    /// How many lines.
    pub lines: u64,
    /// What they come to.
    pub totals: Totals,
    /// What the partner owes on balance; negative: what it gets.
    pub balance: Vec<Balance>,
    /// The CSV file.
    pub csv: Sum,
    /// The JSON file.
    pub json: Sum,
    /// When the partner agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<String>,
    /// Orders confirmed one by one.
    pub orders_confirmed: usize,
    /// Orders disputed, in all.
    pub orders_disputed: usize,
    /// Of them not decided.
    pub disputes_open: usize,
    /// The settlement sheet, once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Sheet>,
    /// Invoices, payments, receipts of both sides.
    pub papers: Vec<Paper>,
}

/// How it was settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// When.
    pub at: String,
    /// Who has settled it.
    pub by: Box<str>,
    /// What is to be known.
    pub note: Box<str>,
    /// What the partner owes on balance.
    pub balance: Vec<Balance>,
    /// Corrections that disputes have led to: they are lines of later statements.
    pub corrections: u64,
    /// What those come to, by currency.
    pub corrected: Vec<Balance>,
}

/// A dispute as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeView {
    /// About which order.
    pub order_id: OrderId,
    /// Whether it is decided.
    pub open: bool,
    /// In the partner's words.
    pub reason: Box<str>,
    /// Since when.
    pub at: String,
    /// Its ticket.
    pub ticket: Box<str>,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// What is corrected, by a line of a later statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Figures>,
}

/// A dispute as shown.
pub fn dispute(order_id: OrderId, dispute: &Dispute) -> DisputeView {
    let resolution = dispute.resolution.as_ref();
    DisputeView {
        order_id,
        open: resolution.is_none(),
        reason: dispute.reason.clone(),
        at: dispute.at.to_rfc3339(),
        ticket: case::ticket_of(&dispute.ticket.case.subject, &dispute.ticket.case.code).into(),
        resolved_at: resolution.map(|it| it.at.to_rfc3339()),
        note: resolution.map(|it| it.note.clone()),
        correction: resolution.and_then(|it| it.line.as_ref()).map(|line| line.figures),
    }
}

fn sheet(period: &Period, partner: &PartnerId) -> Option<Sheet> {
    let (at, by, note) = period.settled.as_ref()?;
    let (mut corrections, mut corrected) = (0, Vec::<Balance>::new());
    for line in period.disputes.values().filter_map(|dispute| dispute.resolution.as_ref()?.line.as_ref()) {
        corrections += 1;
        let (code, minor) = (line.currency.code(), line.figures.total);
        match corrected.iter_mut().find(|known| &*known.currency == code) {
            Some(known) => known.minor = known.minor.saturating_add(minor),
            None => corrected.push(Balance { currency: code.into(), minor }),
        }
    }
    let balance = period.made.totals.balance(partner);
    Some(Sheet { at: at.to_rfc3339(), by: by.clone(), note: note.clone(), balance, corrections, corrected })
}

/// A statement as shown; `None` before it is made.
pub fn view(partner: &PartnerId, period: &Period) -> Option<View> {
    let open = period.open.as_ref()?;
    Some(View {
        statement_id: open.id.clone(),
        partner_id: partner.clone(),
        status: period.status?,
        from: open.from.to_rfc3339(),
        until: open.until.to_rfc3339(),
        time_zone: open.zone.clone(),
        made_at: period.made_at.to_rfc3339(),
        lines: period.made.lines,
        totals: period.made.totals.clone(),
        balance: period.made.totals.balance(partner),
        csv: period.made.csv.clone(),
        json: period.made.json.clone(),
        confirmed_at: period.confirmed_at.map(Timestamp::to_rfc3339),
        orders_confirmed: period.confirmed.len(),
        orders_disputed: period.disputes.len(),
        disputes_open: period.disputes.values().filter(|dispute| dispute.resolution.is_none()).count(),
        settled: sheet(period, partner),
        papers: period.papers.clone(),
    })
}

/// The same as JSON.
pub fn value(partner: &PartnerId, period: &Period) -> Value {
    // Texts and numbers: always JSON.
    serde_json::to_value(view(partner, period)).unwrap_or_default()
}
