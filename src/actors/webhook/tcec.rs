//! The T/CEC 102 face of a queue (EM-11): what the outbox has goes out as the partner's interfaces. Owns our token at the
//! partner, the way of one try, and what the partner's answer means for the delivery; retries and order are the queue's.
//!
//! Invariants: a try ends in one [`Answer`]; a token that the partner refuses (`Ret` 4002) is replaced once a try; an unsigned
//! success is no success; secrets are never logged.

#[cfg(test)]
mod tests;

use super::sender::exchange::{Exchange, Post};
use crate::actors::alerts::Alerts;
use crate::api::port::Relation;
use crate::api::tcec::pushes::{self, Push};
use crate::clock::Timestamp;
use crate::domain::delivery::{Answer, TEST_KIND};
use crate::domain::platform;
use crate::ids::{PartnerId, SessionId};
use crate::persistence::{OutboxEntry, SharedJournal};
use crate::protocol::tcec::charging::Taken;
use crate::protocol::tcec::envelope::members;
use crate::protocol::tcec::order::{CheckAnswer, OrderTaken};
use crate::protocol::tcec::ret::{DUPLICATE_ORDER, Ret};
use crate::protocol::tcec::station::StatusTaken;
use crate::protocol::tcec::token::{TokenAnswer, TokenRequest};
use crate::protocol::tcec::{Codec, Interface, Reply};
use dashmap::DashMap;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A token is asked for anew this long before it ends: longer than a try takes.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// The longest that a partner's word about a token's life is believed: one is known to tell milliseconds since 1970.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Characters of a partner's `Msg` that are kept.
const MSG_MAX: usize = 200;
/// Disputed orders that an alert names.
const NAMED_MAX: usize = 20;

/// Our token at a partner.
struct Token {
    text: SecretString,
    ends: Timestamp,
    /// Of which relation: another set of secrets needs another token.
    relation: Arc<Relation>,
}

/// What all T/CEC queues share.
pub struct TcecCaller {
    exchange: Arc<dyn Exchange>,
    journal: SharedJournal,
    alerts: Alerts,
    tokens: DashMap<PartnerId, Arc<Token>>,
    seq: AtomicU16,
}

impl TcecCaller {
    /// Calls through this exchange.
    pub fn new(exchange: Arc<dyn Exchange>, journal: SharedJournal, alerts: Alerts) -> Self {
        TcecCaller { exchange, journal, alerts, tokens: DashMap::new(), seq: AtomicU16::new(0) }
    }
}

/// One partner's face: what a queue sends with.
#[derive(Clone)]
pub struct TcecFace {
    /// What is agreed.
    pub relation: Arc<Relation>,
    /// Where its interfaces are.
    pub base: String,
    /// The way there.
    pub caller: Arc<TcecCaller>,
}

impl fmt::Debug for TcecFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcecFace").field("base", &self.base).finish_non_exhaustive()
    }
}

/// An answer in the terms of a webhook: taken.
fn taken() -> Answer {
    Answer::Status { code: 200, retry_after_ms: None, excerpt: String::new() }
}

/// An event for which the standard has no call.
fn nothing_to_say() -> Answer {
    Answer::Status { code: 204, retry_after_ms: None, excerpt: "T/CEC 102 has no call for it".to_owned() }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MSG_MAX).collect()
}

impl TcecFace {
    /// The partner's own waits between tries of such an event, where it has any.
    pub fn waits(&self, kind: &str) -> Option<Arc<[Duration]>> {
        let waits = &self.relation.tcec.dialect.order_retry_s;
        (kind == "order.paid").then(|| waits.iter().map(|s| Duration::from_secs((*s).into())).collect())
    }

    /// Makes one try with an event of the outbox.
    pub async fn send(&self, row: &OutboxEntry, now: Timestamp) -> Answer {
        let (kind, data) = (row.notice.kind.as_str(), &row.notice.data);
        if kind == TEST_KIND {
            // What can be tested without saying anything: a fresh token.
            return self.fresh_token(now).await.map_or_else(|answer| answer, |_| taken());
        }
        let session = match self.session(pushes::row_needed(kind, data)).await {
            Ok(session) => session,
            Err(answer) => return answer,
        };
        match pushes::push(kind, data, session.as_ref(), &self.relation.tcec, now) {
            Ok(Some(push)) => self.call(&push, now).await.unwrap_or_else(|answer| answer),
            Ok(None) => nothing_to_say(),
            Err(why) => Answer::Broken(cut(&why)),
        }
    }

    async fn session(&self, id: Option<SessionId>) -> Result<Option<Value>, Answer> {
        let Some(id) = id else { return Ok(None) };
        let row = self.caller.journal.row("session", &id.to_string()).await;
        let row = row.map_err(|error| Answer::Broken(format!("the session cannot be read: {error}")))?;
        Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
    }

    async fn call(&self, push: &Push, now: Timestamp) -> Result<Answer, Answer> {
        let token = self.token(now).await?;
        let mut reply = self.once(push.interface, &push.data, Some(&token), now).await?;
        if reply.ret == Ret::Token.code() {
            let token = self.fresh_token(now).await?;
            reply = self.once(push.interface, &push.data, Some(&token), now).await?;
        }
        Ok(self.judged(push, reply))
    }

    async fn once(
        &self,
        interface: Interface,
        data: &impl serde::Serialize,
        token: Option<&Token>,
        now: Timestamp,
    ) -> Result<Reply, Answer> {
        let tcec = &self.relation.tcec;
        let codec = Codec { secrets: &self.relation.outbound, dialect: &tcec.dialect };
        let seq = self.caller.seq.fetch_add(1, Ordering::Relaxed) % 9999 + 1;
        let post = Post {
            url: interface.url(&self.base, &tcec.dialect),
            bearer: token.map(|token| token.text.expose_secret().to_owned()),
            body: codec.request(&tcec.own_id, now, seq, data).into(),
        };
        let answer = self.caller.exchange.exchange(post).await?;
        if !(200..300).contains(&answer.code) {
            return Err(answer.status());
        }
        codec.reply(&answer.body).map_err(|error| Answer::Broken(cut(&format!("{}: {error}", interface.wire()))))
    }

    /// The kept token, or a new one.
    async fn token(&self, now: Timestamp) -> Result<Arc<Token>, Answer> {
        let kept = self.caller.tokens.get(&self.relation.partner).map(|token| Arc::clone(&token));
        let usable =
            kept.filter(|token| Arc::ptr_eq(&token.relation, &self.relation) && now + TOKEN_MARGIN < token.ends);
        match usable {
            Some(token) => Ok(token),
            None => self.fresh_token(now).await,
        }
    }

    async fn fresh_token(&self, now: Timestamp) -> Result<Arc<Token>, Answer> {
        let asked = TokenRequest {
            operator_id: self.relation.tcec.own_id.clone(),
            operator_secret: self.relation.outbound.operator_secret.expose_secret().to_owned(),
        };
        let reply = self.once(Interface::QueryToken, &asked, None, now).await?;
        let declined = |ret: i64, why: String| Answer::Declined { ret, excerpt: cut(&why) };
        let data = match reply {
            Reply { ret: 0, data: Some(data), .. } => data,
            Reply { ret, msg, .. } => return Err(declined(ret, format!("query_token: {msg}"))),
        };
        let answer: TokenAnswer = members(data).map_err(|refused| declined(0, format!("query_token: {refused}")))?;
        if answer.succ_stat != 0 || answer.access_token.is_empty() {
            return Err(declined(0, format!("query_token: FailReason {}", answer.fail_reason)));
        }
        let life = Duration::from_secs(answer.token_available_time.max(0).unsigned_abs()).min(TOKEN_LIFE_MAX);
        let relation = Arc::clone(&self.relation);
        let token = Arc::new(Token { text: answer.access_token.into(), ends: now + life, relation });
        self.caller.tokens.insert(self.relation.partner.clone(), Arc::clone(&token));
        Ok(token)
    }

    /// What an answer means. A refusal of the business ends the delivery, for the same would be said again: it is told to people.
    fn judged(&self, push: &Push, reply: Reply) -> Answer {
        let Reply { ret, msg, data } = reply;
        let order = push.interface == Interface::NotificationChargeOrderInfo;
        if order && ret == DUPLICATE_ORDER {
            return taken();
        }
        let (0, Some(data)) = (ret, data) else {
            return Answer::Declined { ret, excerpt: cut(&format!("{}: {msg}", push.interface.wire())) };
        };
        let told = match push.interface {
            Interface::NotificationChargeOrderInfo => members::<OrderTaken>(data).map(|said| {
                if said.confirm_result != 0 {
                    self.disputed(&format!(
                        "order {}: ConfirmResult {}",
                        push.data["StartChargeSeq"], said.confirm_result
                    ));
                }
            }),
            Interface::CheckChargeOrders => members::<CheckAnswer>(data).map(|said| self.checked(&said)),
            Interface::NotificationStationStatus => members::<StatusTaken>(data).map(drop),
            _ => members::<Taken>(data).map(|said| {
                if said.succ_stat != 0 {
                    let (partner, interface) = (&self.relation.partner, push.interface.wire());
                    tracing::warn!(%partner, interface, said.fail_reason, "a partner refused a notification");
                }
            }),
        };
        match told {
            Ok(()) => taken(),
            Err(refused) => Answer::Declined { ret, excerpt: cut(&format!("{}: {refused}", push.interface.wire())) },
        }
    }

    fn checked(&self, said: &CheckAnswer) {
        let orders = said.dispute_orders.as_deref().unwrap_or_default();
        if said.total_dispute_order == 0 && orders.is_empty() {
            return;
        }
        let named: Vec<String> = orders
            .iter()
            .take(NAMED_MAX)
            .map(|order| format!("{} (DisputeReason {})", order.start_charge_seq, order.dispute_reason))
            .collect();
        let count = said.total_dispute_order.max(i64::try_from(orders.len()).unwrap_or(i64::MAX));
        self.disputed(&format!("{}: {count} orders differ: {}", said.check_order_seq, named.join(", ")));
    }

    /// Not the delivery's business any more: a person looks.
    fn disputed(&self, what: &str) {
        self.caller.alerts.raise(platform::Alert {
            code: "tcec_disputed".to_owned(),
            level: "warning".to_owned(),
            subject: format!("partner/{}", self.relation.partner),
            text: cut(what),
            ticket: true,
        });
    }
}
