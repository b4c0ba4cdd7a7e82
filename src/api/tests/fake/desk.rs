//! Operators, their trail and what waits, in memory.

use super::{NOW, Runtime, paged};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::operator::Roles;
use crate::domain::operator::approval::{Kind, Status};
use crate::domain::operator::trail::{Findings, Line};
use crate::ids::{OperatorId, TicketId};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the desk remembers.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    operators: BTreeMap<OperatorId, OperatorView>,
    tokens: BTreeMap<String, (OperatorId, SecretString)>,
    pub(crate) lines: Vec<Line>,
    /// The trail cannot be written.
    pub(crate) broken: bool,
    waits: BTreeMap<String, (Wish, String)>,
}

impl Runtime {
    /// An operator with a token, as the whole text of it.
    pub(crate) fn admit(&self, id: &str, roles: &[crate::domain::operator::Role]) -> String {
        let (token_id, secret, whole) = crate::api::operator::token::make();
        let id: OperatorId = id.parse().unwrap();
        let roles: Roles = roles.iter().copied().collect();
        let view = OperatorView {
            operator_id: id.clone(),
            name: id.to_string(),
            roles,
            created_at: None,
            suspended: None,
            tokens: vec![],
        };
        let mut world = self.world();
        world.desk.operators.insert(id.clone(), view);
        world.desk.tokens.insert(token_id, (id, secret));
        whole.expose_secret().to_owned()
    }

    /// The lines of the trail so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.world().desk.lines.clone()
    }

    /// From now on the trail cannot be written.
    pub(crate) fn break_trail(&self) {
        self.world().desk.broken = true;
    }

    async fn granted(&self, wish: &Wish, actor: &Actor) -> Result<Value, Refusal> {
        match wish {
            Wish::EraseUser { partner, user_id } => {
                self.world().erased.push(user_id.clone());
                Ok(json!({"partner_id": partner, "erased": true}))
            }
            Wish::RollBackConfig { version } => {
                let known = self.world().configs.iter().find(|known| known.version == *version).cloned();
                let version = self.apply_config(&known.ok_or(Code::NotFound)?.toml, actor).await?;
                Ok(json!({"version": version}))
            }
        }
    }
}

#[async_trait]
impl DeskPort for Runtime {
    fn operator_of(&self, token_id: &str, secret: &str) -> Result<Option<Opened>, Refusal> {
        let world = self.world();
        let known = world.desk.tokens.get(token_id).filter(|(_, known)| known.expose_secret() == secret);
        let Some((operator, _)) = known else { return Ok(None) };
        let view = world.desk.operators.get(operator).filter(|view| view.suspended.is_none());
        Ok(view.map(|view| Opened { operator: operator.clone(), roles: view.roles.clone() }))
    }
    async fn operators(&self, page: PageRequest) -> Result<Page<OperatorView>, Refusal> {
        Ok(paged(self.world().desk.operators.iter().map(|(id, view)| (id.to_string(), view.clone())), &page))
    }
    async fn operator(&self, id: &OperatorId) -> Result<OperatorView, Refusal> {
        self.world().desk.operators.get(id).cloned().ok_or(Code::OperatorUnknown.into())
    }
    async fn put_operator(&self, id: &OperatorId, put: OperatorPut, _: &Actor) -> Result<bool, Refusal> {
        let OperatorPut { name, roles } = put;
        let view = OperatorView {
            operator_id: id.clone(),
            name,
            roles,
            created_at: Some(NOW),
            suspended: None,
            tokens: vec![],
        };
        Ok(self.world().desk.operators.insert(id.clone(), view).is_none())
    }
    async fn suspend_operator(&self, id: &OperatorId, reason: Option<String>, _: &Actor) -> Result<(), Refusal> {
        let mut world = self.world();
        let view = world.desk.operators.get_mut(id).ok_or(Code::OperatorUnknown)?;
        view.suspended = reason.map(|reason| json!({"reason": reason}));
        Ok(())
    }
    async fn add_token(&self, id: &OperatorId, token: NewToken, _: &Actor) -> Result<Moment, Refusal> {
        self.operator(id).await?;
        self.world().desk.tokens.insert(token.id, (id.clone(), token.secret));
        Ok(NOW)
    }
    async fn revoke_token(&self, _: &OperatorId, token_id: &str) -> Result<(), Refusal> {
        self.world().desk.tokens.remove(token_id).map(drop).ok_or(Code::NotFound.into())
    }
    async fn note(&self, line: Line) -> Result<(), Refusal> {
        let mut world = self.world();
        if world.desk.broken {
            return Err(Code::JournalFull.into());
        }
        world.desk.lines.push(line);
        Ok(())
    }
    async fn audit(&self, search: AuditSearch, page: PageRequest) -> Result<Page<Value>, Refusal> {
        let lines = self.lines();
        let found =
            lines.iter().enumerate().filter(|(_, line)| search.actor.as_ref().is_none_or(|by| *line.actor == **by));
        Ok(paged(found.map(|(n, line)| (format!("{n:06}"), serde_json::to_value(line).unwrap())), &page))
    }
    async fn verify_audit(&self) -> Result<Findings, Refusal> {
        Ok(Findings { sound: true, lines: self.lines().len() as u64, wrong_at: None, problem: None })
    }
    async fn tickets(&self, search: TicketSearch, _: PageRequest) -> Result<Page<Value>, Refusal> {
        let shown = search.code.as_deref().is_none_or(|code| code == "quarantined");
        let ticket = json!({"id": "t1", "code": "quarantined", "state": "open"});
        Ok(Page { items: if shown { vec![ticket] } else { vec![] }, next: None })
    }
    async fn ticket(&self, id: &TicketId) -> Result<Value, Refusal> {
        match id.as_str() {
            "t1" => Ok(json!({"id": "t1", "state": "open", "cause": "still_there", "history": []})),
            _ => Err(Code::TicketUnknown.into()),
        }
    }
    async fn work_ticket(&self, id: &TicketId, act: TicketAct, actor: &Actor) -> Result<Value, Refusal> {
        let mut view = self.ticket(id).await?;
        match act {
            TicketAct::Assign(to) => view["assignee"] = json!(to),
            TicketAct::Note(text) => view["history"] = json!([{"text": text, "by": actor.name}]),
            TicketAct::Close(_) => view["state"] = json!("closed"),
        }
        Ok(view)
    }
    async fn grant_wish(&self, wish: Wish, actor: &Actor) -> Result<Granted, Refusal> {
        if !matches!(wish, Wish::EraseUser { .. }) {
            return self.granted(&wish, actor).await.map(Granted::Done);
        }
        let mut world = self.world();
        let approval_id = format!("a{}", world.desk.waits.len() + 1);
        world.desk.waits.insert(approval_id.clone(), (wish, actor.name.clone()));
        Ok(Granted::Waits { approval_id, status: Status::Waiting, until: NOW })
    }
    async fn approvals(&self, page: PageRequest) -> Result<Page<Value>, Refusal> {
        let world = self.world();
        Ok(paged(
            world.desk.waits.iter().map(|(id, (_, by))| (id.clone(), json!({"approval_id": id, "proposed_by": by}))),
            &page,
        ))
    }
    async fn approval(&self, id: &str) -> Result<Waiting, Refusal> {
        let world = self.world();
        let (_, by) = world.desk.waits.get(id).ok_or(Code::ApprovalUnknown)?;
        let view = json!({"approval_id": id, "act": "erase_user", "proposed_by": by});
        Ok(Waiting { act: WaitingAct::Other(Kind::EraseUser), view })
    }
    async fn agree(&self, id: &str, actor: &Actor) -> Result<Value, Refusal> {
        let (wish, by) = self.world().desk.waits.get(id).cloned().ok_or(Code::ApprovalUnknown)?;
        crate::domain::operator::person::another(&by, &actor.name).map_err(|_| Code::SecondPerson)?;
        self.world().desk.waits.remove(id);
        self.granted(&wish, actor).await
    }
    async fn withdraw(&self, id: &str, _: &Actor) -> Result<Value, Refusal> {
        self.world().desk.waits.remove(id).ok_or(Code::ApprovalUnknown)?;
        Ok(json!({"approval_id": id, "status": "withdrawn"}))
    }
}
