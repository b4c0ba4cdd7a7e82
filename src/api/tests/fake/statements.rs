//! Statements of the runtime in a box: one, of the day that every test knows.

use super::{NOW, Runtime};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::statement::shares::Rule;
use crate::ids::{PartnerId, StatementId};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

fn view(partner: &PartnerId, id: &StatementId) -> Result<StatementView, Refusal> {
    if id.as_str() != "2026-01-01" {
        return Err(Code::StatementUnknown.into());
    }
    let sum = || FileSum { sha256: "00".repeat(32), bytes: 2 };
    Ok(StatementView {
        statement_id: id.clone(),
        partner_id: partner.clone(),
        status: StatementStatus::Stated,
        from: NOW,
        until: NOW,
        time_zone: "Asia/Shanghai".into(),
        made_at: NOW,
        lines: 0,
        totals: Vec::new(),
        balance: Vec::new(),
        csv: sum(),
        json: sum(),
        confirmed_at: None,
        orders_confirmed: 0,
        orders_disputed: 0,
        disputes_open: 0,
        settled: None,
        papers: Vec::new(),
    })
}

fn none<T>() -> Page<T> {
    Page { items: Vec::new(), next: None }
}

#[async_trait]
impl StatementPort for Runtime {
    async fn statements(&self, partner: &PartnerId, _: PageRequest) -> Result<Page<StatementView>, Refusal> {
        Ok(Page { items: vec![view(partner, &StatementId::of("2026-01-01"))?], next: None })
    }

    async fn statement(&self, partner: &PartnerId, id: &StatementId) -> Result<StatementView, Refusal> {
        view(partner, id)
    }

    async fn statement_lines(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        _: PageRequest,
    ) -> Result<Page<StatementLine>, Refusal> {
        view(partner, id).map(|_| none())
    }

    async fn statement_disputes(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        _: PageRequest,
    ) -> Result<Page<StatementDispute>, Refusal> {
        view(partner, id).map(|_| none())
    }

    async fn statement_file(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        _: StatementFormat,
    ) -> Result<StatementFile, Refusal> {
        let sum = view(partner, id)?.csv;
        Ok(StatementFile { sum, content: stream::iter([Ok(Bytes::from_static(b"{}"))]).boxed() })
    }

    async fn statement_wish(
        &self,
        partner: &PartnerId,
        id: &StatementId,
        _: StatementWish,
    ) -> Result<StatementView, Refusal> {
        view(partner, id)
    }

    async fn cut_statement(&self, partner: &PartnerId, _: &str) -> Result<Value, Refusal> {
        Ok(json!({"partner_id": partner}))
    }

    async fn revenue_rules(&self, _: &PartnerId, _: PageRequest) -> Result<Page<Value>, Refusal> {
        Ok(none())
    }

    async fn put_revenue_rule(&self, _: &PartnerId, _: Rule) -> Result<(), Refusal> {
        Ok(())
    }
}
