//! Operators, the audit trail, tickets, and what waits for a second person (OP-2, OP-3): the port behind HTTP. Owns the way to
//! their partition and back to a view; never a rule.

mod approvals;
mod operators;
mod tickets;
mod trail;

use super::{Service, refused};
use crate::actors::engine::Refusal as Refused;
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, AuditSearch, DeskPort, Granted, Moment, NewToken, Opened, OperatorPut, OperatorView, Page, PageRequest,
    Refusal, TicketAct, TicketSearch, Waiting, Wish,
};
use crate::domain::operator::person::NotAnother;
use crate::domain::operator::trail::{Findings, Line};
use crate::domain::operator::{Command, Key, PARTITION, Rejection, Reply};
use crate::ids::{OperatorId, TicketId};
use async_trait::async_trait;
use serde_json::Value;

/// The largest number of rows that one page looks through for a filter.
const LOOKED_THROUGH: usize = 2000;

impl Service {
    /// Asks an entity of the operators' partition.
    async fn ask_desk(&self, key: Key, command: impl Into<Command>) -> Result<Reply, Refusal> {
        let asked = self.office.ask(PARTITION, key, command.into()).await;
        asked.map_err(|refusal: Refused<Rejection>| refused(refusal, desk_rejected))
    }
}

/// What the rules' rejections are called in the catalogue.
fn desk_rejected(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::OperatorUnknown => Code::OperatorUnknown.into(),
        Rejection::OwnAccount => Code::OwnAccount.into(),
        Rejection::NoRole => Refusal::field("roles", rejection.to_string(), "one role or more"),
        Rejection::TokenUnknown => Code::NotFound.into(),
        Rejection::TooManyTokens(_) => Refusal::field("tokens", rejection.to_string(), "fewer live ones: revoke one"),
        Rejection::TicketClosed => Code::TicketClosed.into(),
        Rejection::TooManySteps(_) => Refusal::field("ticket", rejection.to_string(), "a shorter history"),
        Rejection::ApprovalUnknown => Code::ApprovalUnknown.into(),
        Rejection::NotAnother(NotAnother::Same) => Code::SecondPerson.into(),
        Rejection::NotAnother(NotAnother::Root) => Code::OperatorAccount.into(),
        Rejection::NotTheOldest | Rejection::WrongEntity => Code::Internal.into(),
    }
}

#[async_trait]
impl DeskPort for Service {
    fn operator_of(&self, token_id: &str, secret: &str) -> Result<Option<Opened>, Refusal> {
        self.opened(token_id, secret)
    }

    async fn operators(&self, page: PageRequest) -> Result<Page<OperatorView>, Refusal> {
        self.working()?;
        Ok(self.operator_views(&page))
    }

    async fn operator(&self, id: &OperatorId) -> Result<OperatorView, Refusal> {
        self.working()?;
        self.operator_view(id)
    }

    async fn put_operator(&self, id: &OperatorId, put: OperatorPut, actor: &Actor) -> Result<bool, Refusal> {
        self.define_operator(id, put, actor).await
    }

    async fn suspend_operator(&self, id: &OperatorId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal> {
        self.suspend(id, reason, actor).await
    }

    async fn add_token(&self, id: &OperatorId, token: NewToken, actor: &Actor) -> Result<Moment, Refusal> {
        self.add_operator_token(id, token, actor).await
    }

    async fn revoke_token(&self, id: &OperatorId, token_id: &str) -> Result<(), Refusal> {
        self.revoke_operator_token(id, token_id).await
    }

    async fn note(&self, line: Line) -> Result<(), Refusal> {
        self.note_line(line).await
    }

    async fn audit(&self, search: AuditSearch, page: PageRequest) -> Result<Page<Value>, Refusal> {
        self.audit_lines(search, &page).await
    }

    async fn verify_audit(&self) -> Result<Findings, Refusal> {
        self.verify_trail().await
    }

    async fn tickets(&self, search: TicketSearch, page: PageRequest) -> Result<Page<Value>, Refusal> {
        self.ticket_page(&search, &page).await
    }

    async fn ticket(&self, id: &TicketId) -> Result<Value, Refusal> {
        self.ticket_in_full(id).await
    }

    async fn work_ticket(&self, id: &TicketId, act: TicketAct, actor: &Actor) -> Result<Value, Refusal> {
        self.act_on_ticket(id, act, actor).await
    }

    async fn grant_wish(&self, wish: Wish, actor: &Actor) -> Result<Granted, Refusal> {
        self.grant(wish, actor).await
    }

    async fn approvals(&self, page: PageRequest) -> Result<Page<Value>, Refusal> {
        self.what_waits(&page).await
    }

    async fn approval(&self, id: &str) -> Result<Waiting, Refusal> {
        self.waiting(id).await
    }

    async fn agree(&self, id: &str, actor: &Actor) -> Result<Value, Refusal> {
        self.agree_to(id, actor).await
    }

    async fn withdraw(&self, id: &str, actor: &Actor) -> Result<Value, Refusal> {
        self.drop_waiting(id, actor).await
    }
}
