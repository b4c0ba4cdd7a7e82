//! Accounts for operators: looking, blocking, credit, coupons, adjustments with a second person, and the look at all books.

use super::{Service, account_rejected, corrupt, user_scope};
use crate::actors::personal;
use crate::actors::service::refused;
use crate::api::catalogue::Code;
use crate::api::port::{AccountDesk, AccountOrder, AccountSearch, Actor, Page, PageRequest, Refusal};
use crate::domain::account::{Account, AccountFamily, Action, Booked, Outcome, Request, rows, verify};
use crate::domain::entity::Family as _;
use crate::domain::ledger::LedgerAccount;
use crate::ids::RequestId;
use crate::telemetry::metrics::account as metrics;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries read at a time.
const CHUNK: usize = 500;

impl Service {
    /// A listed account, with whose it is.
    async fn summary(&self, row: &[u8], key: &str) -> Result<Value, Refusal> {
        let mut value: Value = serde_json::from_slice(row).map_err(|error| corrupt(rows::ACCOUNT, key, &error))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("user".to_owned(), key.into());
        }
        personal::dress(&self.vault, &mut value, true).await.map_err(|error| {
            tracing::warn!(%error, "a user's key cannot be read now");
            Refusal::from(Code::Unavailable)
        })?;
        Ok(value)
    }

    /// The balance sheet as metrics.
    fn show_balance(&self, findings: &verify::Findings) {
        metrics::BOOKS_WRONG.set(figure(findings.wrong.into()), []);
        let currency = self.configuration.swaps.accounts.load().currency;
        // Each is there from the first look on, though nothing may ever be booked to it.
        let mut sums: BTreeMap<&'static str, i128> =
            LedgerAccount::PLAIN.iter().map(|account| (account.family(), 0)).collect();
        let trial = findings.totals.get(currency.code());
        for (account, minor) in trial.iter().flat_map(|trial| trial.balances()) {
            *sums.entry(account.family()).or_default() += minor;
        }
        sums.into_iter().for_each(|(account, minor)| metrics::BALANCE.set(figure(minor), [account]));
    }

    /// All entries of an account up to a number, in order.
    async fn all_entries(&self, account: &str, up_to: u64) -> Result<Vec<Booked>, Refusal> {
        let prefix = format!("{account}/");
        let mut after: Option<String> = None;
        let mut entries = Vec::new();
        loop {
            let rows = self.journal.rows(rows::ENTRY, &prefix, after.as_deref(), CHUNK).await?;
            let whole = rows.len() == CHUNK;
            for row in &rows {
                let booked: Booked =
                    serde_json::from_slice(&row.value).map_err(|error| corrupt(rows::ENTRY, &row.key, &error))?;
                if booked.number > up_to {
                    return Ok(entries);
                }
                entries.push(booked);
            }
            match rows.last() {
                Some(last) if whole => after = Some(last.key.clone()),
                Some(_) | None => return Ok(entries),
            }
        }
    }
}

/// A figure for a dashboard: exact to 2^53, which is beyond any balance sheet.
#[allow(clippy::cast_precision_loss, reason = "metrics are floating point; the books are not")]
fn figure(minor: i128) -> f64 {
    minor as f64
}

fn action(order: AccountOrder, actor: &Actor) -> Action {
    let by: Box<str> = actor.name.as_str().into();
    match order {
        AccountOrder::Block { reason } => Action::Block { reason: reason.into(), by },
        AccountOrder::Lift { rule } => Action::Lift { rule, by },
        AccountOrder::Credit { limit } => Action::SetCreditLimit { limit, by },
        AccountOrder::Coupon(coupon) => Action::GrantCoupon { coupon, by },
        AccountOrder::Propose { amount, order, reason } => Action::Propose { amount, order, reason: reason.into(), by },
        AccountOrder::Approve(proposal) => Action::Approve { proposal, by },
        AccountOrder::Withdraw(proposal) => Action::Withdraw { proposal, by },
    }
}

/// An adjustment is decided once, whoever decides it; anything else once for its `request_id`.
fn cause_of(order: &AccountOrder, request_id: Option<&RequestId>) -> String {
    match (order, request_id) {
        (AccountOrder::Approve(id), _) => format!("adjustment/{id}"),
        (AccountOrder::Withdraw(id), _) => format!("adjustment/{id}/withdraw"),
        (_, Some(id)) => format!("operator/{id}"),
        (_, None) => format!("operator/once/{:032x}", rand::random::<u128>()),
    }
}

#[async_trait]
impl AccountDesk for Service {
    async fn accounts(&self, search: AccountSearch, page: PageRequest) -> Result<Page<Value>, Refusal> {
        if let Some(user) = &search.user_id {
            let Some(partner) = &search.partner_id else {
                return Err(Refusal::field("user_id", "without a partner", "together with `partner_id`"));
            };
            let account = self.vault.pseudonym(&user_scope(partner), user).to_string();
            let items = match self.journal.row(rows::ACCOUNT, &account).await? {
                Some(row) => vec![self.summary(&row, &account).await?],
                None => Vec::new(),
            };
            return Ok(Page { items, next: None });
        }
        let found = self.journal.rows(rows::ACCOUNT, "", page.cursor.as_deref(), page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|row| row.key.clone())).flatten();
        let mut items = Vec::with_capacity(found.len());
        for row in found {
            let summary = self.summary(&row.value, &row.key).await?;
            let wanted = search.partner_id.as_ref().is_none_or(|id| summary["partner_id"] == id.as_str());
            if wanted {
                items.push(summary);
            }
        }
        Ok(Page { items, next })
    }

    async fn account(&self, account: &str) -> Result<Value, Refusal> {
        let Some(row) = self.journal.row(rows::ACCOUNT, account).await? else {
            return Err(Code::AccountUnknown.into());
        };
        let mut shown = self.summary(&row, account).await?;
        let view = self.account_view(account).await?;
        let view = serde_json::to_value(view).map_err(|error| corrupt(rows::ACCOUNT, account, &error))?;
        if let (Some(members), Value::Object(view)) = (shown.as_object_mut(), view) {
            members.extend(view);
        }
        Ok(shown)
    }

    async fn account_entries(&self, account: &str, page: PageRequest) -> Result<Page<Value>, Refusal> {
        let Page { items, next } = self.booked(account, &page).await?;
        let items = items.into_iter().map(|it| serde_json::to_value(it).map_err(|e| corrupt(rows::ENTRY, account, &e)));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    async fn account_order(
        &self,
        account: &str,
        order: AccountOrder,
        request_id: Option<&RequestId>,
        actor: &Actor,
    ) -> Result<Outcome, Refusal> {
        self.working()?;
        if self.journal.row(rows::ACCOUNT, account).await?.is_none() {
            return Err(Code::AccountUnknown.into());
        }
        let request = Request::new(super::cause(cause_of(&order, request_id))?, action(order, actor));
        self.accounts.ask(account, request).await.map_err(|refusal| refused(refusal, account_rejected))
    }

    async fn verify_ledger(&self) -> Result<verify::Findings, Refusal> {
        self.working()?;
        let mut findings = verify::Findings::default();
        for summary in self.journal.streams(AccountFamily::NAME).await? {
            let id = summary.stream.partition();
            match self.accounts.read(id, Account::clone).await {
                Some(account) => {
                    let entries = self.all_entries(id, account.entries).await?;
                    findings.account(id, &account, entries);
                }
                None => findings.problem(id, "it cannot be brought into memory now; see the log"),
            }
        }
        findings.finish();
        self.show_balance(&findings);
        Ok(findings)
    }
}
