//! The arguments of `chargeline admin account …`. Owns names, help texts and the calls they make.

use super::PageArgs;
use crate::ids::{AdjustmentId, PartnerId};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

/// What to do with users' accounts. An account's name is the pseudonym of its user: `account find` tells it.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Lists accounts.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Finds the account of a partner's user.
    Find {
        /// The partner.
        partner: PartnerId,
        /// Its name of the user.
        user: String,
    },
    /// Shows balance, holds, debts, blocks and what waits.
    Show {
        /// Which.
        account: String,
    },
    /// Shows its entries, newest first.
    Entries {
        /// Which.
        account: String,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Puts the user on the blacklist.
    Block {
        /// Which.
        account: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Lifts a block, or closes a review.
    Unblock {
        /// Which.
        account: String,
        /// Which rule's: blacklist, debts, failed_starts, rapid_top_ups, coupon_abuse.
        #[arg(long, default_value = "blacklist")]
        rule: String,
    },
    /// Sets how far below zero the balance may go.
    Credit {
        /// Which.
        account: String,
        /// How far.
        #[command(flatten)]
        limit: MoneyArgs,
    },
    /// Gives a coupon.
    Coupon {
        /// To whom.
        account: String,
        /// The coupon.
        #[command(flatten)]
        coupon: CouponArgs,
    },
    /// Proposes an adjustment; another person approves it.
    Propose {
        /// Of which account.
        account: String,
        /// Plus: to the user; minus: from them.
        #[command(flatten)]
        amount: MoneyArgs,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The order it belongs to.
        #[arg(long)]
        order: Option<String>,
    },
    /// Approves an adjustment that another person has proposed, and books it.
    Approve {
        /// Of which account.
        account: String,
        /// Which.
        adjustment: AdjustmentId,
    },
    /// Drops a proposed adjustment.
    Withdraw {
        /// Of which account.
        account: String,
        /// Which.
        adjustment: AdjustmentId,
    },
}

/// An amount.
#[derive(Debug, ClapArgs)]
pub struct MoneyArgs {
    /// Whole minor units: fen, cent.
    #[arg(long, allow_negative_numbers = true)]
    minor: i64,
    /// ISO 4217.
    #[arg(long, default_value = "CNY")]
    currency: String,
}

impl MoneyArgs {
    fn json(&self) -> Value {
        json!({"minor": self.minor, "currency": self.currency})
    }
}

/// A coupon.
#[derive(Debug, ClapArgs)]
pub struct CouponArgs {
    /// Its code.
    #[arg(long)]
    code: String,
    /// Takes off this many minor units …
    #[arg(long, conflicts_with = "percent", required_unless_present = "percent")]
    minor: Option<i64>,
    /// … or so many of a hundred.
    #[arg(long)]
    percent: Option<u8>,
    /// ISO 4217.
    #[arg(long, default_value = "CNY")]
    currency: String,
    /// From when on (RFC 3339).
    #[arg(long)]
    from: String,
    /// Until when (RFC 3339).
    #[arg(long)]
    until: String,
}

impl CouponArgs {
    fn json(&self) -> Value {
        let mut body = json!({"coupon_id": self.code, "from": self.from, "until": self.until});
        if let Some(minor) = self.minor {
            body["amount"] = json!({"minor": minor, "currency": self.currency});
        }
        if let Some(percent) = self.percent {
            body["percent"] = json!(percent);
        }
        body
    }
}

/// Method, path, body.
type Call = (&'static str, String, Value);

impl Account {
    /// The call that it makes.
    pub(in crate::api::cli) fn call(&self) -> Call {
        let get = |path| ("GET", path, Value::Null);
        let post = |account: &str, tail: &str, body| ("POST", format!("/accounts/{account}{tail}"), body);
        match self {
            Account::List { page } => get(page.after("/accounts")),
            Account::Find { partner, user } => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair("partner_id", partner.as_str()).append_pair("user_id", user);
                get(format!("/accounts?{}", query.finish()))
            }
            Account::Show { account } => get(format!("/accounts/{account}")),
            Account::Entries { account, page } => get(page.after(&format!("/accounts/{account}/entries"))),
            Account::Block { account, reason } => post(account, "/block", json!({"reason": reason})),
            Account::Unblock { account, rule } => post(account, "/unblock", json!({"rule": rule})),
            Account::Credit { account, limit } => {
                ("PUT", format!("/accounts/{account}/credit"), json!({"limit": limit.json()}))
            }
            Account::Coupon { account, coupon } => post(account, "/coupons", coupon.json()),
            Account::Propose { account, amount, reason, order } => {
                let mut body = json!({"amount": amount.json(), "reason": reason});
                if let Some(order) = order {
                    body["order_id"] = json!(order);
                }
                post(account, "/adjustments", body)
            }
            Account::Approve { account, adjustment } => {
                post(account, &format!("/adjustments/{adjustment}/approve"), json!({}))
            }
            Account::Withdraw { account, adjustment } => {
                post(account, &format!("/adjustments/{adjustment}/withdraw"), json!({}))
            }
        }
    }

    /// The last line when it went well.
    pub(in crate::api::cli) fn said(&self) -> String {
        match self {
            Account::List { .. } | Account::Find { .. } => "{count} accounts".to_owned(),
            Account::Show { .. } => "account shown".to_owned(),
            Account::Entries { .. } => "{count} entries".to_owned(),
            Account::Block { .. } => "user blocked".to_owned(),
            Account::Unblock { rule, .. } => format!("rule {rule} lifted"),
            Account::Credit { .. } => "credit limit set".to_owned(),
            Account::Coupon { coupon, .. } => format!("coupon {} given", coupon.code),
            Account::Propose { .. } => "proposed: {outcome}; another person approves it".to_owned(),
            Account::Approve { .. } => "adjustment booked".to_owned(),
            Account::Withdraw { .. } => "adjustment dropped".to_owned(),
        }
    }
}
