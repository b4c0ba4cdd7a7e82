//! What waits for a second person: acts that the configuration makes wait, adjustments and refunds, in one list (OP-3, MO-6).
//! Owns the way from an agreement to the act; each act's own rules are where they were.

use super::operators::read;
use crate::actors::service::admin;
use crate::actors::service::sessions::user_scope;
use crate::actors::service::{Service, corrupt};
use crate::api::catalogue::Code;
use crate::api::port::{
    AccountDesk as _, AccountOrder, Actor, Granted, Moment, OrderDecision, OrderPort as _, Page, PageRequest, Refusal,
    Waiting, WaitingAct, Wish,
};
use crate::domain::operator::approval::{Act, Approval, ApprovalOrder, Status};
use crate::domain::operator::{Command, Key, Reply, rows};
use crate::ids::{AdjustmentId, ApprovalId, OrderId};
use serde_json::{Value, json};

/// Acts looked at when the process starts: people agree to far fewer in the moment before it ends.
const OPEN_READ: usize = 10_000;

/// What an approval's id names.
enum Named {
    Adjustment(String, AdjustmentId),
    Refund(OrderId),
    Other(ApprovalId),
}

/// The pseudonym of a user, which is an account's name, has so many characters.
const ACCOUNT: usize = 32;

fn named(id: &str) -> Result<Named, Refusal> {
    let unknown = || Refusal::from(Code::ApprovalUnknown);
    if let Some(rest) = id.strip_prefix("adjustment-") {
        let (account, adjustment) = rest.split_at_checked(ACCOUNT).ok_or_else(unknown)?;
        let adjustment = adjustment.strip_prefix('-').and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
        return Ok(Named::Adjustment(account.to_owned(), adjustment));
    }
    match id.strip_prefix("refund-") {
        Some(order) => order.parse().map(Named::Refund).map_err(|_| unknown()),
        None => id.parse().map(Named::Other).map_err(|_| unknown()),
    }
}

/// As shown; times as texts.
fn shown(id: &str, mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        for name in ["at", "until"] {
            if let Some(ms) = members.get(name).and_then(Value::as_i64) {
                members.insert(name.to_owned(), crate::clock::Timestamp(ms).to_rfc3339().into());
            }
        }
        members.insert("approval_id".to_owned(), id.into());
    }
    value
}

impl Service {
    pub(super) async fn grant(&self, wish: Wish, actor: &Actor) -> Result<Granted, Refusal> {
        self.working()?;
        let act = match wish {
            Wish::EraseUser { partner, user_id } => {
                self.directory.get(&partner).ok_or(Code::PartnerUnknown)?;
                let user = self.vault.pseudonym(&user_scope(&partner), &user_id);
                Act::EraseUser { partner, user: user.as_str().into() }
            }
            Wish::RollBackConfig { version } => Act::RollBackConfig { version },
        };
        let settings = self.configuration.live.current();
        if !settings.operators.waits(act.kind()) {
            return self.perform(&act, &actor.name).await.map(Granted::Done);
        }
        let id = ApprovalId(uuid::Uuid::now_v7());
        let valid = settings.operators.approval_valid;
        let propose = ApprovalOrder::Propose { act, by: actor.name.as_str().into(), valid };
        let approval = self.ask_approval(id, propose).await?;
        Ok(Granted::Waits { approval_id: id.to_string(), status: approval.status, until: Moment(approval.until) })
    }

    async fn ask_approval(&self, id: ApprovalId, order: ApprovalOrder) -> Result<Approval, Refusal> {
        match self.ask_desk(Key::Approval(id), Command::Approval(order)).await? {
            Reply::Approval(approval) => Ok(*approval),
            Reply::Done => Err(Code::Internal.into()),
        }
    }

    /// Does an act. Each of them may be done twice.
    async fn perform(&self, act: &Act, by: &str) -> Result<Value, Refusal> {
        match act {
            Act::EraseUser { partner, user } => {
                admin::partners::erase(self, user).await?;
                Ok(json!({"partner_id": partner, "erased": true}))
            }
            Act::RollBackConfig { version } => {
                let now = self.configuration.rollback(*version, by).await.map_err(admin::not_applied)?;
                Ok(json!({"version": now}))
            }
        }
    }

    /// Does what was agreed to, and remembers it. What cannot be done now is tried again at the next start, or
    /// when the same person agrees again.
    async fn finish(&self, id: ApprovalId, approval: &Approval) -> Result<Value, Refusal> {
        let agreed = approval.decided_by.as_deref().unwrap_or_default();
        let by = format!("{}, {agreed}", approval.proposed_by);
        let done = self.perform(&approval.act, &by).await;
        let outcome: Box<str> = match &done {
            Ok(_) => "done".into(),
            Err(refusal) if refusal.code.frees() || !refusal.code.binds() => return done,
            Err(refusal) => refusal.code.as_str().into(),
        };
        self.ask_approval(id, ApprovalOrder::Finish { outcome }).await?;
        done
    }

    /// Does what was agreed to before the process ended.
    pub async fn finish_agreed(&self) {
        let Ok(rows) = self.journal.rows(rows::APPROVAL_OPEN, "", None, OPEN_READ).await else { return };
        for row in rows {
            let (Ok(id), Ok(approval)) = (row.key.parse(), serde_json::from_slice::<Approval>(&row.value)) else {
                continue;
            };
            if approval.status == Status::Agreed
                && let Err(refusal) = self.finish(id, &approval).await
            {
                tracing::warn!(approval = %id, code = %refusal.code, "what was agreed to could not be done");
            }
        }
    }

    pub(super) async fn what_waits(&self, page: &PageRequest) -> Result<Page<Value>, Refusal> {
        let found = self.journal.rows(rows::APPROVAL_OPEN, "", page.cursor.as_deref(), page.limit).await?;
        let next = (found.len() == page.limit).then(|| found.last().map(|row| row.key.clone())).flatten();
        let items = found.iter().map(|row| Ok(shown(&row.key, read(rows::APPROVAL_OPEN, &row.key, &row.value)?)));
        Ok(Page { items: items.collect::<Result<_, Refusal>>()?, next })
    }

    pub(super) async fn waiting(&self, id: &str) -> Result<Waiting, Refusal> {
        let (table, act) = match named(id)? {
            Named::Adjustment(..) => (rows::APPROVAL_OPEN, Some(WaitingAct::Adjustment)),
            Named::Refund(_) => (rows::APPROVAL_OPEN, Some(WaitingAct::Refund)),
            Named::Other(_) => (rows::APPROVAL, None),
        };
        let row = self.journal.row(table, id).await?.ok_or(Code::ApprovalUnknown)?;
        let value: Value = read(table, id, &row)?;
        let act = match act {
            Some(act) => act,
            None => {
                let approval: Approval =
                    serde_json::from_value(value.clone()).map_err(|error| corrupt(table, id, &error))?;
                WaitingAct::Other(approval.act.kind())
            }
        };
        Ok(Waiting { act, view: shown(id, value) })
    }

    pub(super) async fn agree_to(&self, id: &str, actor: &Actor) -> Result<Value, Refusal> {
        self.working()?;
        if actor.is_root() {
            return Err(Code::OperatorAccount.into());
        }
        match named(id)? {
            Named::Adjustment(account, adjustment) => {
                let outcome = self.account_order(&account, AccountOrder::Approve(adjustment), None, actor).await?;
                serde_json::to_value(outcome).map_err(|_| Code::Internal.into())
            }
            Named::Refund(order) => {
                let status = self.decide_order(order, OrderDecision::ApproveRefund, actor).await?;
                Ok(json!({"order_id": order, "status": status}))
            }
            Named::Other(approval) => {
                let agreed =
                    self.ask_approval(approval, ApprovalOrder::Agree { by: actor.name.as_str().into() }).await?;
                self.finish(approval, &agreed).await
            }
        }
    }

    pub(super) async fn drop_waiting(&self, id: &str, actor: &Actor) -> Result<Value, Refusal> {
        self.working()?;
        match named(id)? {
            Named::Adjustment(account, adjustment) => {
                self.account_order(&account, AccountOrder::Withdraw(adjustment), None, actor).await?;
            }
            Named::Refund(order) => {
                self.decide_order(order, OrderDecision::WithdrawRefund, actor).await?;
            }
            Named::Other(approval) => {
                self.ask_approval(approval, ApprovalOrder::Withdraw { by: actor.name.as_str().into() }).await?;
            }
        }
        Ok(json!({"approval_id": id, "status": Status::Withdrawn}))
    }
}
