//! Operators' accounts: opened by tokens, made, changed, suspended.

use crate::actors::service::{Phase, Service, corrupt};
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, Moment, NewToken, Opened, OperatorPut, OperatorView, Page, PageRequest, Refusal, TokenView,
};
use crate::domain::operator::account::{Digest, Operator, OperatorOrder, Profile, Token};
use crate::domain::operator::{Command, Key, rows};
use crate::ids::OperatorId;
use crate::persistence::JournalError;
use secrecy::ExposeSecret as _;
use std::sync::Arc;

/// Rows read at a time.
const CHUNK: usize = 500;

fn order(order: OperatorOrder) -> Command {
    Command::Operator(order)
}

impl Service {
    /// What a token opens now. Its use is remembered.
    pub(super) fn opened(&self, token_id: &str, secret: &str) -> Result<Option<Opened>, Refusal> {
        match self.phase.get() {
            // Not all of them are known yet: nobody is turned away for good.
            Phase::Recovering => return Err(Code::Unavailable.into()),
            Phase::Ready | Phase::Stopping => {}
        }
        let now = self.clock.now();
        let Some(admitted) = self.operators.admitted(token_id, now) else { return Ok(None) };
        if !self.vault.verify_credential(secret.as_bytes(), &admitted.digest.0) {
            return Ok(None);
        }
        if self.operators.used(&admitted, token_id, now) {
            let (office, id) = (self.office.clone(), Key::Operator(admitted.operator.clone()));
            let used = order(OperatorOrder::NoteUse { id: token_id.to_owned() });
            // Nobody waits for it: what it shows is in memory too.
            tokio::spawn(async move { drop(office.ask(crate::domain::operator::PARTITION, id, used).await) });
        }
        Ok(Some(Opened { operator: admitted.operator, roles: admitted.roles }))
    }

    /// Reads all operators into memory, at start.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub async fn fill_operators(&self) -> Result<usize, JournalError> {
        let mut after: Option<String> = None;
        loop {
            let rows = self.journal.rows(rows::OPERATOR, "", after.as_deref(), CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(self.operators.all().len()) };
            after = Some(last.key.clone());
            for row in &rows {
                let corrupt =
                    |why: String| JournalError::Corrupt { key: format!("{}/{}", rows::OPERATOR, row.key), why };
                let id: OperatorId = row.key.parse().map_err(|error| corrupt(format!("{error}")))?;
                let operator: Operator =
                    serde_json::from_slice(&row.value).map_err(|error| corrupt(error.to_string()))?;
                self.operators.put(&id, &operator);
            }
        }
    }

    pub(super) fn operator_views(&self, page: &PageRequest) -> Page<OperatorView> {
        let all = self.operators.all();
        let after = |id: &OperatorId| page.cursor.as_deref().is_none_or(|after| id.as_str() > after);
        let shown = all.iter().filter(|(id, _)| after(id)).take(page.limit);
        let items: Vec<OperatorView> = shown.filter_map(|(id, operator)| self.operator_shown(id, operator)).collect();
        let last = items.last().map(|operator| operator.operator_id.to_string());
        Page { next: last.filter(|_| items.len() == page.limit), items }
    }

    pub(super) fn operator_view(&self, id: &OperatorId) -> Result<OperatorView, Refusal> {
        let known = self.operators.get(id).ok_or(Code::OperatorUnknown)?;
        self.operator_shown(id, &known).ok_or(Code::OperatorUnknown.into())
    }

    fn operator_shown(&self, id: &OperatorId, operator: &Arc<Operator>) -> Option<OperatorView> {
        let profile = operator.profile.as_ref()?;
        let tokens = operator.tokens.iter().map(|(token_id, token)| TokenView {
            token_id: token_id.clone(),
            label: token.label.to_string(),
            created_at: Moment(token.created),
            created_by: token.by.to_string(),
            expires_at: Moment(token.expires),
            revoked_at: token.revoked.map(Moment),
            last_used_at: self.operators.last_use(token_id, token).map(Moment),
        });
        let suspended = operator.suspended.as_ref().map(|suspension| {
            serde_json::json!({"reason": suspension.reason, "by": suspension.by, "at": suspension.at.to_rfc3339()})
        });
        Some(OperatorView {
            operator_id: id.clone(),
            name: profile.name.to_string(),
            roles: profile.roles.clone(),
            created_at: operator.created.map(Moment),
            suspended,
            tokens: tokens.collect(),
        })
    }

    pub(super) async fn define_operator(
        &self,
        id: &OperatorId,
        put: OperatorPut,
        actor: &Actor,
    ) -> Result<bool, Refusal> {
        self.working()?;
        let new = self.operators.get(id).is_none();
        let profile = Profile { name: put.name.into(), roles: put.roles };
        let define = OperatorOrder::Define { profile, by: actor.name.as_str().into() };
        self.ask_desk(Key::Operator(id.clone()), order(define)).await?;
        Ok(new)
    }

    pub(super) async fn suspend(&self, id: &OperatorId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal> {
        self.working()?;
        let suspend = OperatorOrder::Suspend { reason: reason.map(Into::into), by: actor.name.as_str().into() };
        self.ask_desk(Key::Operator(id.clone()), order(suspend)).await.map(drop)
    }

    pub(super) async fn add_operator_token(
        &self,
        id: &OperatorId,
        new: NewToken,
        actor: &Actor,
    ) -> Result<Moment, Refusal> {
        self.working()?;
        let settings = self.configuration.live.current();
        let valid = new.valid.unwrap_or(settings.operators.token_valid);
        if valid > settings.operators.token_valid_max {
            let max = settings.operators.token_valid_max.as_secs();
            return Err(Refusal::field("valid_s", "too long", format!("up to {max}")));
        }
        let now = self.clock.now();
        let token = Token {
            label: new.label.into(),
            digest: Digest(self.vault.hash_credential(new.secret.expose_secret().as_bytes())),
            created: now,
            by: actor.name.as_str().into(),
            expires: now + valid,
            revoked: None,
            used: None,
        };
        let expires = token.expires;
        let add = OperatorOrder::AddToken { id: new.id, token: Box::new(token) };
        self.ask_desk(Key::Operator(id.clone()), order(add)).await?;
        Ok(Moment(expires))
    }

    pub(super) async fn revoke_operator_token(&self, id: &OperatorId, token_id: &str) -> Result<(), Refusal> {
        self.working()?;
        let revoke = OperatorOrder::RevokeToken { id: token_id.to_owned() };
        self.ask_desk(Key::Operator(id.clone()), order(revoke)).await.map(drop)
    }
}

/// A row of a table as its type.
pub(super) fn read<T: serde::de::DeserializeOwned>(table: &str, key: &str, value: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(value).map_err(|error| corrupt(table, key, &error))
}
