//! Manual adjustments (MO-6): proposed by one person, approved by another. Owns the four eyes.

use super::draft::Draft;
use super::event::Event;
use super::request::{Outcome, Rejection};
use super::state::Proposal;
use crate::domain::ledger::{Cause, LedgerAccount, OrderId};
use crate::domain::money::Money;
use crate::domain::operator::person;
use crate::ids::AdjustmentId;
use serde_json::json;

pub(super) fn propose(
    draft: &mut Draft<'_>,
    amount: Money,
    order: Option<&OrderId>,
    reason: &str,
    by: &str,
) -> Result<Outcome, Rejection> {
    let magnitude = Money { minor: amount.minor.saturating_abs(), ..amount };
    draft.amount(magnitude, 1)?;
    let max = draft.policy().proposals_max;
    if draft.account.proposals.len() >= max {
        return Err(Rejection::Limit { what: "undecided adjustments", max });
    }
    let id = AdjustmentId(draft.context.uuid(1));
    let proposal = Proposal { id, amount, order: order.cloned(), reason: reason.into(), by: by.into(), at: draft.now };
    draft.happened(Event::Proposed(proposal));
    Ok(Outcome::Proposed { proposal: id })
}

fn known(draft: &Draft<'_>, id: AdjustmentId) -> Result<Proposal, Rejection> {
    draft.account.proposals.get(&id).cloned().ok_or(Rejection::UnknownProposal(id))
}

pub(super) fn approve(draft: &mut Draft<'_>, cause: &Cause, id: AdjustmentId, by: &str) -> Result<Outcome, Rejection> {
    let proposal = known(draft, id)?;
    person::another(&proposal.by, by).map_err(|_| Rejection::SamePerson(by.into()))?;
    let minor = proposal.amount.minor;
    let available = draft.account.spendable();
    if minor < 0 && -minor > available {
        let (available, asked) = (draft.money(available), draft.money(-minor));
        return Err(Rejection::AdjustmentTooLarge { available, asked });
    }
    let legs = [(LedgerAccount::UserAvailable, minor), (LedgerAccount::Adjustments, -minor)];
    draft.book(cause, proposal.order.as_ref(), &legs)?;
    let amount = proposal.amount;
    draft.tell("account.adjusted", json!({"order": proposal.order, "amount": amount}));
    draft.happened(Event::ProposalClosed { proposal, by: by.into(), approved: true });
    Ok(Outcome::Adjusted { amount })
}

pub(super) fn withdraw(draft: &mut Draft<'_>, id: AdjustmentId, by: &str) -> Result<Outcome, Rejection> {
    let proposal = known(draft, id)?;
    draft.happened(Event::ProposalClosed { proposal, by: by.into(), approved: false });
    Ok(Outcome::Done)
}
