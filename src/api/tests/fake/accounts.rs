//! Accounts in memory: one user's, enough for the shape of calls and answers.

use super::Runtime;
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::account::{Outcome, verify};
use crate::domain::ledger::OrderId;
use crate::domain::money::{Currency, Money};
use crate::ids::{PartnerId, RequestId, TopUpId};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::NOW;

fn yuan(minor: i64) -> Amount {
    Amount(Money::new(minor, Currency::CNY))
}

fn top_up(amount: Money) -> TopUpView {
    let top_up_id = TopUpId(uuid::Uuid::from_u128(9));
    TopUpView {
        top_up_id,
        amount: Amount(amount),
        state: "pending".into(),
        at: NOW,
        expires: NOW,
        transaction_id: None,
    }
}

#[async_trait]
impl AccountPort for Runtime {
    async fn balance(&self, _: &PartnerId, user_id: &str) -> Result<BalanceView, Refusal> {
        if user_id == "stranger" {
            return Err(Code::AccountsOff.into());
        }
        let (available, none) = (yuan(5_000), yuan(0));
        let (debts, blocks, coupons) = (vec![], vec![], vec![]);
        Ok(BalanceView { available, frozen: none, debt: none, credit_limit: none, debts, blocks, coupons })
    }

    async fn entries(&self, _: &PartnerId, _: &str, _: PageRequest) -> Result<Page<EntryView>, Refusal> {
        let (available, none) = (yuan(5_000), yuan(0));
        let cause = "payment/T1".to_owned();
        let entry = EntryView { number: 1, at: NOW, cause, order_id: None, available, frozen: none, debt: none };
        Ok(Page { items: vec![entry], next: None })
    }

    async fn open_top_up(&self, _: &PartnerId, _: &str, _: &RequestId, amount: Money) -> Result<TopUpView, Refusal> {
        Ok(top_up(amount))
    }

    async fn top_up(&self, _: &PartnerId, _: &str, id: TopUpId) -> Result<TopUpView, Refusal> {
        let known = top_up(Money::new(1, Currency::CNY));
        if id == known.top_up_id { Ok(known) } else { Err(Code::TopUpUnknown.into()) }
    }

    async fn pay_debt(
        &self,
        _: &PartnerId,
        _: &str,
        order: &OrderId,
        (_, amount): (&RequestId, Option<Money>),
    ) -> Result<DebtPaidView, Refusal> {
        let paid = amount.map_or(yuan(100), Amount);
        Ok(DebtPaidView { order_id: order.clone(), paid, left: yuan(0) })
    }

    async fn payment_callback(&self, callback: Callback) -> Result<(), Refusal> {
        if callback.signature.is_some() { Ok(()) } else { Err(Code::MissingSignature.into()) }
    }
}

#[async_trait]
impl AccountDesk for Runtime {
    async fn accounts(&self, _: AccountSearch, _: PageRequest) -> Result<Page<Value>, Refusal> {
        Ok(Page { items: vec![json!({"account": "0".repeat(32)})], next: None })
    }

    async fn account(&self, account: &str) -> Result<Value, Refusal> {
        Ok(json!({"account": account}))
    }

    async fn account_entries(&self, _: &str, _: PageRequest) -> Result<Page<Value>, Refusal> {
        Ok(Page { items: vec![], next: None })
    }

    async fn account_order(
        &self,
        _: &str,
        order: AccountOrder,
        _: Option<&RequestId>,
        actor: &Actor,
    ) -> Result<Outcome, Refusal> {
        match order {
            AccountOrder::Approve(_) if actor.name == "proposer" => Err(Code::SecondPerson.into()),
            _ => Ok(Outcome::Done),
        }
    }

    async fn verify_ledger(&self) -> Result<verify::Findings, Refusal> {
        Ok(verify::Findings { accounts: 1, entries: 2, ..verify::Findings::default() })
    }
}
