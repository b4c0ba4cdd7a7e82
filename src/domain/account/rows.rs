//! Read-model rows of an account's partition. Owns their tables, keys and shapes; never reads them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `account` | `<account>` | [`Summary`]: whose, what is there, what is owed |
//! | `ledger-entry` | `<account>/<number, 20 digits>` | [`Booked`]: one posting with all its legs |
//! | `top-up` | `<intent>` | [`TopUpRow`]: whose, and where it stands |
//! | `account-memo` | `<account>/<memo key>` | [`Memo`](super::Memo): what left the state |
//! | `adjustment` | `<account>/<adjustment>` | [`AdjustmentRow`]: who proposed, who decided |
//! | `approval-open` | `adjustment-<account>-<adjustment>` | an adjustment that waits for a second person |
//! | `alert`, `ticket` | `<account>-<sequence>-<n>` | a case |

use super::event::{Booked, Event};
use super::memo::MemoKey;
use super::state::{Account, Proposal, TopUp};
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;
use crate::domain::money::Money;
use crate::domain::operator::rows::APPROVAL_OPEN;
use crate::ids::{AdjustmentId, PartnerId};
use serde::{Deserialize, Serialize};

/// Table of accounts.
pub const ACCOUNT: &str = "account";
/// Table of ledger entries.
pub const ENTRY: &str = "ledger-entry";
/// Table of top-ups.
pub const TOP_UP: &str = "top-up";
/// Table of memos that left the state.
pub const MEMO: &str = "account-memo";
/// Table of adjustments.
pub const ADJUSTMENT: &str = "adjustment";

/// An account in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The user's pseudonym.
    pub account: String,
    /// The first-party partner whose user it is.
    #[serde(default)]
    pub partner: Option<PartnerId>,
    /// The partner's own name of the user, sealed.
    #[serde(default)]
    pub sealed: Option<String>,
    /// What can be spent without credit; absent until something is booked.
    #[serde(default)]
    pub available: Option<Money>,
    /// What is frozen, minor units.
    pub frozen: i64,
    /// What is owed, minor units.
    pub debt: i64,
    /// The rules that block the user.
    pub blocks: Vec<String>,
}

/// A top-up, as it is found by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopUpRow {
    /// The user's pseudonym.
    pub account: String,
    /// Its newest shape.
    pub top_up: TopUp,
}

/// An adjustment, decided or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdjustmentRow {
    /// As proposed.
    pub proposal: Proposal,
    /// `proposed`, `approved` or `withdrawn`.
    pub state: String,
    /// Who decided.
    #[serde(default)]
    pub decided_by: Option<String>,
}

/// The name under which an adjustment waits for a second person, among all that waits.
pub fn approval_key(account: &str, id: AdjustmentId) -> String {
    format!("adjustment-{account}-{id}")
}

/// The key of an entry: sorts by number.
pub fn entry_key(account: &str, number: u64) -> String {
    format!("{account}/{number:020}")
}

/// The key of a memo.
pub fn memo_key(account: &str, key: &MemoKey) -> String {
    format!("{account}/{key}")
}

/// The rows that follow from a step's events.
pub(super) fn project(account: &str, state: &Account, events: &[Event]) -> Vec<Row> {
    let mut rows: Vec<Row> = events.iter().flat_map(|event| of_event(account, event)).collect();
    if !events.is_empty() {
        rows.push(row(ACCOUNT, account.to_owned(), &summary(account, state)));
    }
    rows
}

fn summary(account: &str, state: &Account) -> Summary {
    Summary {
        account: account.to_owned(),
        partner: state.owner.as_ref().map(|owner| owner.partner.clone()),
        sealed: state.owner.as_ref().map(|owner| owner.sealed.to_string()),
        available: state.currency.map(|currency| Money::new(state.available(), currency)),
        frozen: state.frozen(),
        debt: state.debt(),
        blocks: state.blocks.keys().map(ToString::to_string).collect(),
    }
}

fn of_event(account: &str, event: &Event) -> Vec<Row> {
    match event {
        Event::Booked(booked) => vec![entry(account, booked)],
        Event::TopUpSet(top_up) => {
            let value = TopUpRow { account: account.to_owned(), top_up: top_up.clone() };
            vec![row(TOP_UP, top_up.id.to_string(), &value)]
        }
        Event::Folded { memos } => memos.iter().map(|(key, memo)| row(MEMO, memo_key(account, key), memo)).collect(),
        Event::Proposed(proposal) => {
            let value = AdjustmentRow { proposal: proposal.clone(), state: "proposed".to_owned(), decided_by: None };
            let waits = serde_json::json!({"act": "adjustment", "account": account, "adjustment_id": proposal.id,
                "amount": proposal.amount, "reason": proposal.reason, "status": "waiting",
                "proposed_by": proposal.by, "at": proposal.at});
            let open = row(APPROVAL_OPEN, approval_key(account, proposal.id), &waits);
            vec![row(ADJUSTMENT, format!("{account}/{}", proposal.id), &value), open]
        }
        Event::ProposalClosed { proposal, by, approved } => {
            let state = if *approved { "approved" } else { "withdrawn" }.to_owned();
            let value = AdjustmentRow { proposal: proposal.clone(), state, decided_by: Some(by.to_string()) };
            let open = Row { table: APPROVAL_OPEN, key: approval_key(account, proposal.id), value: None };
            vec![row(ADJUSTMENT, format!("{account}/{}", proposal.id), &value), open]
        }
        Event::Raised(raised) => case::rows(raised),
        Event::Opened { .. }
        | Event::HoldSet { .. }
        | Event::HoldClosed { .. }
        | Event::DebtSet { .. }
        | Event::DebtSettled { .. }
        | Event::SettledTold { .. }
        | Event::Remembered { .. }
        | Event::CreditLimitSet { .. }
        | Event::BlockSet { .. }
        | Event::ReviewSet { .. }
        | Event::Lifted { .. }
        | Event::Noted { .. }
        | Event::CouponGranted { .. }
        | Event::CouponGone { .. }
        | Event::RefundSet(_)
        | Event::RefundDone { .. }
        | Event::Told { .. } => Vec::new(),
    }
}

fn entry(account: &str, booked: &Booked) -> Row {
    row(ENTRY, entry_key(account, booked.number), booked)
}
