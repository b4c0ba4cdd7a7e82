//! The arguments of `chargeline admin statement …`. Owns names, help texts and the calls they make.

use super::PageArgs;
use crate::api::cli::Task;
use crate::ids::{OrderId, PartnerId, StatementId};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

/// Statements and settlement with partners.
#[derive(Debug, Subcommand)]
pub enum Statement {
    /// Lists a partner's statements, newest first.
    List {
        /// Whose.
        partner: PartnerId,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one: totals, digests, state, papers.
    Show {
        /// Whose.
        partner: PartnerId,
        /// Which: a local day.
        statement: StatementId,
    },
    /// Lists its lines.
    Lines {
        /// Whose.
        partner: PartnerId,
        /// Which.
        statement: StatementId,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Lists its disputes.
    Disputes {
        /// Whose.
        partner: PartnerId,
        /// Which.
        statement: StatementId,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Ends the period that is open now, whatever the day; its statement is made shortly after.
    Cut {
        /// Whose.
        partner: PartnerId,
    },
    /// Ends a dispute, with a correction or without.
    Resolve {
        /// Whose.
        partner: PartnerId,
        /// Which.
        statement: StatementId,
        /// About which order.
        order: OrderId,
        /// What the partner is told.
        #[arg(long)]
        note: String,
        /// What is corrected.
        #[command(flatten)]
        correction: CorrectionArgs,
    },
    /// Settles it.
    Settle {
        /// Whose.
        partner: PartnerId,
        /// Which.
        statement: StatementId,
        /// What is to be known.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Notes our invoice, our payment, or that money has come.
    Paper {
        /// Whose.
        partner: PartnerId,
        /// Which.
        statement: StatementId,
        /// What: invoice, payment, receipt.
        kind: String,
        /// Its number, or the bank's.
        #[arg(long)]
        reference: String,
        /// Whole minor units: fen, cent.
        #[arg(long)]
        minor: i64,
        /// ISO 4217.
        #[arg(long, default_value = "CNY")]
        currency: String,
        /// Title, tax number, bank.
        #[arg(long)]
        details: Option<String>,
    },
    /// Lists a partner's revenue rules.
    Rules {
        /// Whose.
        partner: PartnerId,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shares orders so from a moment on.
    Share {
        /// Whose orders.
        partner: PartnerId,
        /// From when on (RFC 3339).
        #[arg(long)]
        from: String,
        /// Only at this site.
        #[arg(long)]
        site: Option<String>,
        /// `PARTY=N`: N of 10,000; may be given more than once.
        #[arg(long = "share", value_parser = share)]
        shares: Vec<(String, u32)>,
        /// Who gets what is left.
        #[arg(long)]
        remainder: PartnerId,
    },
}

/// The difference that a dispute leads to. Minor units; without any there is no correction.
#[derive(Debug, ClapArgs)]
pub struct CorrectionArgs {
    /// For electricity.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    electricity: i64,
    /// For service.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    service: i64,
    /// For everything else.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    other: i64,
    /// Wh.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    energy_wh: i64,
}

impl CorrectionArgs {
    fn json(&self) -> Value {
        let CorrectionArgs { electricity, service, other, energy_wh } = self;
        if [electricity, service, other, energy_wh].iter().all(|part| **part == 0) {
            return Value::Null;
        }
        let total = electricity.saturating_add(*service).saturating_add(*other);
        json!({"energy_wh": energy_wh, "electricity": electricity, "service": service, "other": other, "total": total})
    }
}

fn share(text: &str) -> Result<(String, u32), String> {
    let said = || format!("`{text}` is no share: PARTY=N is allowed, N of 10000");
    let (party, share) = text.split_once('=').ok_or_else(said)?;
    Ok((party.to_owned(), share.parse().map_err(|_| said())?))
}

/// The call that does it.
pub(in crate::api::cli) fn task(command: Statement) -> Task {
    let of = |partner: &PartnerId, statement: &StatementId| format!("/partners/{partner}/statements/{statement}");
    match command {
        Statement::List { partner, page } => {
            Task::get(page.after(&format!("/partners/{partner}/statements")), "{count} statements")
        }
        Statement::Show { partner, statement } => {
            Task::get(of(&partner, &statement), "statement {statement_id} is {status}")
        }
        Statement::Lines { partner, statement, page } => {
            Task::get(page.after(&format!("{}/lines", of(&partner, &statement))), "{count} lines")
        }
        Statement::Disputes { partner, statement, page } => {
            Task::get(page.after(&format!("{}/disputes", of(&partner, &statement))), "{count} disputes")
        }
        Statement::Cut { partner } => {
            let said = "statement {statement_id} ends at {until} and is made at {made_at}";
            Task::send("POST", format!("/partners/{partner}/statements/cut"), json!({}), said)
        }
        Statement::Resolve { partner, statement, order, note, correction } => {
            let body = json!({"note": note, "correction": correction.json()});
            let path = format!("{}/orders/{order}/resolve", of(&partner, &statement));
            Task::send("POST", path, body, "dispute resolved; {disputes_open} are open")
        }
        Statement::Settle { partner, statement, note } => {
            let path = format!("{}/settle", of(&partner, &statement));
            Task::send("POST", path, json!({"note": note}), "statement {statement_id} is {status}")
        }
        Statement::Paper { partner, statement, kind, reference, minor, currency, details } => {
            let amount = json!({"minor": minor, "currency": currency});
            let body = json!({"kind": kind, "reference": reference, "amount": amount, "details": details});
            Task::send(
                "POST",
                format!("{}/papers", of(&partner, &statement)),
                body,
                format!("{kind} {reference} noted"),
            )
        }
        Statement::Rules { partner, page } => {
            Task::get(page.after(&format!("/revenue-rules/{partner}")), "{count} revenue rules")
        }
        Statement::Share { partner, from, site, shares, remainder } => {
            let shares: Vec<Value> =
                shares.into_iter().map(|(party, share)| json!({"party": party, "share": share})).collect();
            let body = json!({"from": from, "site_id": site, "shares": shares, "remainder": remainder});
            Task::send(
                "PUT",
                format!("/revenue-rules/{partner}"),
                body,
                "orders of {partner_id} are shared so from {from} on",
            )
        }
    }
}
