//! A user's account (MO-3): balance, holds, debts, top-ups, coupons, adjustments, and the risk rules that guard it (OP-1).
//! Pure rules. Owns every decision about a user's money; never a price, a session, a gateway's protocol or a clock.
//!
//! One account is one partition, `account/<pseudonym of the user>`. Whatever another partition wants of it is a [`Request`]
//! with a [`Cause`](crate::domain::ledger::Cause); a cause that was booked gives its recorded [`Outcome`] again and books
//! nothing, and the same cause with another wish is refused. See `docs/accounts.md`.
//!
//! Invariants, checked by the simulation at every step and by `ledger verify` on a store: every posting sums to zero; frozen
//! money is the sum of the open holds; debt is the sum of the unpaid orders; the available balance is not below the credit
//! limit unless the limit was lowered.
//!
//! What is remembered is bounded: causes, closed holds, closed intents and the sums of orders are [`Memo`]s. The state
//! keeps the newest ([`Policy::memos`]), older ones are rows; a request that needs one gets [`Reply::Recall`], and is sent
//! again with what the rows say. A memo is never folded before [`FOLD_AFTER`], which is longer than that takes.

mod adjust;
mod coupon;
mod coupon_use;
mod debt;
mod decide;
mod draft;
mod event;
mod family;
mod hold;
mod memo;
mod policy;
mod request;
pub mod risk;
pub mod rows;
mod state;
mod top_up;
pub mod verify;
mod view;

#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;

pub use coupon::{Coupon, CouponUse, Discount};
pub use event::{Booked, Event};
pub use family::{AccountFamily, Command, Effect, Key, RefundAnswer, Reply, Timer, TopUpAnswer};
pub use memo::{FOLD_AFTER, Memo, MemoKey, Recalled};
pub use policy::Policy;
pub use request::{Action, CouponPick, Keep, Line, Outcome, Rejection, Request};
pub use state::{Account, Block, Debt, Hold, Owner, PaymentRefund, Proposal, Settled, TopUp, TopUpState};
pub use top_up::payment_cause;
pub use view::{AccountView, DebtView, HoldView};
