//! What partners who speak T/CEC 102 are told by the clock (EM-11): the status of each running session every so often, and a
//! day's orders. Owns when; what is told goes through the partner's webhook queue like every event.
//!
//! Invariants: a status is told from a look at the session then, so one that cannot be looked at is left out and the next tick
//! comes; a day is told once, marked only after its event is durable, and told again after a crash in between under the same
//! `CheckOrderSeq`.

use crate::actors::service::{Phase, Service};
use crate::api::port::{
    Moment, OrderPort as _, OrderStatus, PageRequest, PartnerPort as _, Refusal, Relation, SessionFilter, SessionView,
};
use crate::api::tcec::USER;
use crate::api::tcec::pushes::{CHECK_KIND, Day, STATUS_KIND, settled};
use crate::clock::Timestamp;
use crate::domain::delivery::{PartnerCommand, PartnerKey, QueueCommand, QueueId, Told};
use crate::ids::{EndpointName, OrderId, PartnerId};
use crate::persistence::{CreateOnce, JournalError};
use crate::protocol::tcec::values::ChinaTime;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at: the finest grain of a partner's own interval.
const LOOK: Duration = Duration::from_secs(1);
/// Sessions read at once.
const PAGE: usize = 200;
/// Events put into a queue in one step: keeps a record small.
const TOLD_MAX: usize = 64;
/// How long it is remembered that a day was told: longer than anybody reconciles.
const DAY_KEPT: Duration = Duration::from_secs(90 * 86_400);
/// A session that began longer ago than this before a day is not looked for in it.
const SESSION_LONGEST: Duration = Duration::from_secs(2 * 86_400);

/// Tells until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut due: HashMap<PartnerId, Timestamp> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if service.phase.get() != Phase::Ready {
            continue;
        }
        for relation in service.directory.all().iter().filter_map(|known| known.relation.clone()) {
            if let Err(refusal) = look(&service, &relation, &mut due).await {
                let (partner, code) = (&relation.partner, refusal.code.as_str());
                tracing::warn!(%partner, code, "a partner could not be told by the clock; the next look tries again");
            }
        }
    }
}

async fn look(service: &Service, relation: &Relation, due: &mut HashMap<PartnerId, Timestamp>) -> Result<(), Refusal> {
    let (now, dialect) = (service.clock.now(), &relation.tcec.dialect);
    let every = Duration::from_secs(dialect.charge_status_every_s.into());
    if !every.is_zero() && due.get(&relation.partner).is_none_or(|at| *at <= now) {
        due.insert(relation.partner.clone(), now + every);
        statuses(service, &relation.partner).await?;
    }
    let Some(minute) = dialect.reconcile_minute else { return Ok(()) };
    if ChinaTime(now).minute_of_day() >= minute {
        let (today, _) = ChinaTime(now).day();
        let (from, to) = ChinaTime(Timestamp(today.0.0 - 1)).day();
        day(service, &relation.partner, (from.0, to.0)).await?;
    }
    Ok(())
}

async fn tell(service: &Service, partner: &PartnerId, told: Vec<Told>) -> Result<(), Refusal> {
    let known = service.directory.get(partner);
    let base = known.as_ref().and_then(|known| known.partner.endpoint(&EndpointName::default_endpoint()));
    let key = PartnerKey::Queue(base.map_or(QueueId::MAIN, |(queue, _)| queue));
    let command = PartnerCommand::Queue(QueueCommand::Tell(told));
    let asked = service.partners.ask(partner.as_str(), key, command).await;
    asked.map(drop).map_err(|refusal| {
        tracing::debug!(%partner, ?refusal, "the queue did not take it");
        crate::api::catalogue::Code::Unavailable.into()
    })
}

/// Puts the status of every running session into the queue.
async fn statuses(service: &Service, partner: &PartnerId) -> Result<(), Refusal> {
    let filter = SessionFilter { user_id: Some(USER.to_owned()), open: Some(true), charger_id: None };
    let mut cursor = None;
    loop {
        let page = service.sessions(partner, filter.clone(), PageRequest { cursor, limit: PAGE }).await?;
        let told: Vec<Told> = page.items.iter().filter(|session| session.started_at.is_some()).map(status).collect();
        for some in told.chunks(TOLD_MAX) {
            tell(service, partner, some.to_vec()).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

fn status(session: &SessionView) -> Told {
    let order_key = format!("{STATUS_KIND}/{}", session.session_id);
    Told { kind: STATUS_KIND.to_owned(), order_key, data: serde_json::to_value(session).unwrap_or_default() }
}

/// Puts a day's settled orders into the queue, once.
async fn day(service: &Service, partner: &PartnerId, (from, to): (Timestamp, Timestamp)) -> Result<(), Refusal> {
    let day: String = ChinaTime(from).to_compact().chars().take(8).collect();
    let mark = format!("tcec-check/{partner}/{day}");
    if service.journal.lookup_once(&mark).await?.is_some() {
        return Ok(());
    }
    let orders = orders(service, partner, (from, to)).await?;
    let whole = Day { from: Moment(from), to: Moment(to), orders };
    let data = serde_json::to_value(&whole).unwrap_or_default();
    tell(service, partner, vec![Told { kind: CHECK_KIND.to_owned(), order_key: CHECK_KIND.to_owned(), data }]).await?;
    marked(service.journal.create_once(&mark, b"told", DAY_KEPT).await)
}

fn marked(created: Result<CreateOnce, JournalError>) -> Result<(), Refusal> {
    created.map(drop).map_err(Refusal::from)
}

/// Orders of sessions that ended within the time and were settled, as their events told them.
async fn orders(
    service: &Service,
    partner: &PartnerId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(String, i64, i64)>, Refusal> {
    let filter = SessionFilter { user_id: Some(USER.to_owned()), open: Some(false), charger_id: None };
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = service.sessions(partner, filter.clone(), PageRequest { cursor, limit: PAGE }).await?;
        for session in &page.items {
            if session.created_at.0 + SESSION_LONGEST < from {
                return Ok(found);
            }
            let within = session.ended_at.is_some_and(|at| from <= at.0 && at.0 < to);
            if let (true, Some(seq)) = (within, &session.request_id) {
                let order = service.order(partner, OrderId(session.session_id.0)).await;
                let Ok(order) = order else { continue };
                let told: Value = json!({"kind": "charging", "bill": order.bill, "total": order.total});
                if let (OrderStatus::Paid, Some(bill)) = (order.status, settled(&told)) {
                    found.push((seq.to_string(), bill.energy_wh, bill.total.minor));
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}
