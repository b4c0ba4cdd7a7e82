//! Reserving, giving up, complaining, and showing reservations (RS-1 … RS-6).
//!
//! One live reservation a user (RS-1): a user's reservations may be at several chargers, which are partitions of their own,
//! and nothing is atomic over partitions. What holds it together is row `user-hold/<partner>/<user>/<reservation>`, which is
//! written and removed in the same batch as the reservation's own record, so after a crash it is true; and a lock for each
//! user, held from the look at that row until the charger's step is durable or refused. Both hold as long as one process
//! owns the store: it does (the journal's directory is locked).

use super::sessions::{Eyes, may_begin, user_scope};
use super::{Service, corrupt, refused, rejected};
use crate::actors::engine::Refusal as Refused;
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, Alternative, ConnectorStatus, Grievance, Moment, Page, PageRequest, Refusal, ReservationFilter,
    ReservationPort, ReservationQuote, ReservationStatus, ReservationTerms, ReservationView, Reserve,
};
use crate::config::reservation::Reservation as Policy;
use crate::domain::charger;
use crate::domain::charging::{Key, Rejection, Reply, State};
use crate::domain::reservation::{self, Booking, CancelBy, Complaint, Rule, terms};
use crate::ids::{ChargerId, PartnerId, ReservationId};
use crate::persistence::StoredRow;
use async_trait::async_trait;
use dashmap::DashMap;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The table of reservations.
const TABLE: &str = "reservation";
/// Reservations by partner and user.
const BY_USER: &str = "user-reservation";

/// Other free connectors that are offered.
const ALTERNATIVES_MAX: usize = 5;

/// A lock for each user who is reserving.
#[derive(Debug, Default)]
pub struct UserLocks(DashMap<String, Arc<Mutex<()>>>);

impl UserLocks {
    async fn alone<T>(&self, user: String, run: impl Future<Output = T>) -> T {
        let lock = Arc::clone(&self.0.entry(user.clone()).or_default());
        let guard = lock.lock().await;
        let result = run.await;
        drop(guard);
        drop(lock);
        // Ours is gone: a count of one is the map's own, so nobody waits for it.
        self.0.remove_if(&user, |_, lock| Arc::strong_count(lock) == 1);
        result
    }
}

/// What every reservation row has.
#[derive(Debug, Deserialize)]
struct Pointer {
    charger_id: ChargerId,
    #[serde(default)]
    partner: Option<PartnerId>,
    #[serde(default)]
    open: bool,
}

struct Found {
    pointer: Pointer,
    value: Value,
}

#[async_trait]
impl ReservationPort for Service {
    async fn reserve(&self, partner: &PartnerId, reserve: Reserve) -> Result<ReservationStatus, Refusal> {
        self.working()?;
        if self.journal.is_full() {
            return Err(Code::JournalFull.into());
        }
        self.visible(partner, &reserve.charger_id)?;
        let user = self.vault.pseudonym(&user_scope(partner), &reserve.user.id).to_string();
        let mine = format!("{partner}/{user}/");
        self.reserving.alone(mine.clone(), self.reserve_alone(partner, reserve, user, &mine)).await
    }

    async fn quote(&self, partner: &PartnerId, charger: &ChargerId) -> Result<ReservationQuote, Refusal> {
        self.visible(partner, charger)?;
        let (now, policy) = (self.clock.now(), self.configuration.live.current().reservation.clone());
        let (from, until) = terms::window(&policy, now, Duration::ZERO, None);
        let terms = self.rule_at(charger, &policy).terms(now, from, self.has_accounts(partner));
        Ok(ReservationQuote {
            charger_id: charger.clone(),
            from: Moment(from),
            until: Moment(until),
            terms: ReservationTerms {
                deposit: terms.deposit.into(),
                free_cancel_until: Moment(terms.free_until),
                late_cancel_fee: terms.late_cancel_fee.into(),
                no_show_fee: terms.no_show_fee.into(),
            },
        })
    }

    async fn cancel_reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationStatus, Refusal> {
        self.end_with(Eyes::Partner(partner), id, reservation::Command::Cancel(CancelBy::Partner)).await
    }

    async fn complain(
        &self,
        partner: &PartnerId,
        id: ReservationId,
        grievance: Grievance,
        text: Option<String>,
    ) -> Result<ReservationStatus, Refusal> {
        let grievance = match grievance {
            Grievance::Occupied => reservation::Grievance::Occupied,
            Grievance::NotFound => reservation::Grievance::NotFound,
            Grievance::Defect => reservation::Grievance::Defect,
            Grievance::Other => reservation::Grievance::Other,
        };
        let complaint = Complaint { grievance, text: text.map(String::into_boxed_str) };
        self.end_with(Eyes::Partner(partner), id, reservation::Command::Complain(complaint)).await
    }

    async fn reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationView, Refusal> {
        let found = self.reservation_row(Eyes::Partner(partner), id).await?;
        let mut view = self.reservation_view(Eyes::Partner(partner), id, found).await?;
        self.offer(&mut view).await?;
        Ok(view)
    }

    async fn reservations(
        &self,
        partner: &PartnerId,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal> {
        self.reservations_of(Eyes::Partner(partner), filter, page).await
    }

    async fn any_reservation(&self, id: ReservationId) -> Result<ReservationView, Refusal> {
        let found = self.reservation_row(Eyes::Operator, id).await?;
        let mut view = self.reservation_view(Eyes::Operator, id, found).await?;
        self.offer(&mut view).await?;
        Ok(view)
    }

    async fn all_reservations(
        &self,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal> {
        self.reservations_of(Eyes::Operator, filter, page).await
    }

    async fn release_reservation(&self, id: ReservationId, actor: &Actor) -> Result<ReservationStatus, Refusal> {
        let by = CancelBy::Operator(actor.name.clone().into());
        self.end_with(Eyes::Operator, id, reservation::Command::Cancel(by)).await
    }
}

impl Service {
    /// Whether a partner may know of a charger.
    fn visible(&self, partner: &PartnerId, charger: &ChargerId) -> Result<(), Refusal> {
        let site = self.register.site(charger).ok_or(Code::ChargerUnknown)?;
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        match crate::actors::partners::sees(&known.partner, &site) {
            true => Ok(()),
            false => Err(Code::ChargerUnknown.into()),
        }
    }

    /// Whether a partner's users have accounts here, so that a deposit can be set aside.
    fn has_accounts(&self, partner: &PartnerId) -> bool {
        let known = self.directory.get(partner);
        known.is_some_and(|known| known.partner.profile.as_ref().is_some_and(|profile| profile.accounts))
    }

    /// What reservations cost there now: by the tariff in force; where there is none, by the configuration.
    fn rule_at(&self, charger: &ChargerId, policy: &Policy) -> Rule {
        let tariff = self.register.site(charger).and_then(|site| self.tariffs.tariff_at(&site, self.clock.now()));
        tariff.map_or_else(|| Rule::configured(policy), |tariff| Rule::of(&tariff))
    }

    /// With the user's lock held.
    async fn reserve_alone(
        &self,
        partner: &PartnerId,
        reserve: Reserve,
        user: String,
        mine: &str,
    ) -> Result<ReservationStatus, Refusal> {
        let id = reserve.reservation_id;
        if let Some(row) = self.journal.row(TABLE, &id.to_string()).await? {
            // Made already, by an earlier drive of the same request.
            let value: Value = serde_json::from_slice(&row).map_err(|error| corrupt(TABLE, &id.to_string(), &error))?;
            return ReservationStatus::deserialize(&value["status"]).map_err(|e| corrupt(TABLE, &id.to_string(), &e));
        }
        if let Some(known) = self.directory.get(partner) {
            may_begin(&known.partner)?;
        }
        if !self.journal.rows(reservation::HELD, mine, None, 1).await?.is_empty() {
            return Err(Code::ReservationExists.into());
        }
        let personal = serde_json::to_string(&reserve.user).map_err(|error| corrupt("user", "", &error))?;
        let user_key = user.as_str().into();
        let sealed = self.vault.seal(&user_key, &personal).await.map_err(|error| corrupt("userkey", "", &error))?;
        let policy = self.configuration.live.current().reservation.clone();
        let booking = Booking {
            reservation: id,
            request: reserve.request_id,
            partner: partner.clone(),
            connector: reserve.connector_id,
            user: user.into(),
            sealed: Some(sealed.0.into()),
            ahead: reserve.ahead,
            length: reserve.length,
            account: self.has_accounts(partner),
            rule: self.rule_at(&reserve.charger_id, &policy),
        };
        let taken = match booking.account && booking.rule.deposit.minor > 0 {
            true => ReservationStatus::PendingPayment,
            false => ReservationStatus::Reserved,
        };
        let command = charger::Command::Reserve(Box::new(booking));
        match self.chargers.ask(reserve.charger_id.as_str(), Key::Charger, command.into()).await {
            Ok(_) | Err(Refused::Rejected(Rejection::ReservationExists)) => Ok(taken),
            Err(refusal) => Err(refused(refusal, rejected)),
        }
    }

    /// What a person wants of a reservation.
    async fn end_with(
        &self,
        eyes: Eyes<'_>,
        id: ReservationId,
        command: reservation::Command,
    ) -> Result<ReservationStatus, Refusal> {
        self.working()?;
        let found = self.reservation_row(eyes, id).await?;
        if !found.pointer.open {
            return Err(Code::ReservationEnded.into());
        }
        let charger = found.pointer.charger_id;
        let asked = self.chargers.ask(charger.as_str(), Key::Reservation(id), command.into()).await;
        match asked {
            Ok(Reply::ReservationNow(status)) => Ok(wire_status(status)),
            // It ended between the look and the command.
            Err(Refused::Rejected(Rejection::ReservationUnknown)) => Err(Code::ReservationEnded.into()),
            Err(refusal) => Err(refused(refusal, rejected)),
            Ok(reply) => {
                tracing::error!(?reply, "a reservation gave another reply than its own");
                Err(Code::Internal.into())
            }
        }
    }

    async fn reservation_row(&self, eyes: Eyes<'_>, id: ReservationId) -> Result<Found, Refusal> {
        let row = self.journal.row(TABLE, &id.to_string()).await?.ok_or(Code::ReservationUnknown)?;
        let found = read_row(&id.to_string(), &row)?;
        match eyes.may_see(found.pointer.partner.as_ref()) {
            true => Ok(found),
            false => Err(Code::ReservationUnknown.into()),
        }
    }

    /// Why a charger does not know the reservation that a start names: it is over, of another charger, or never was.
    pub(super) async fn why_unknown(&self, partner: &PartnerId, id: Option<ReservationId>) -> Result<Code, Refusal> {
        let Some(id) = id else { return Ok(Code::ReservationUnknown) };
        match self.reservation_row(Eyes::Partner(partner), id).await {
            Ok(found) if found.pointer.open => Ok(Code::NotReservedConnector),
            Ok(_) => Ok(Code::ReservationEnded),
            Err(refusal) if refusal.code == Code::ReservationUnknown => Ok(Code::ReservationUnknown),
            Err(refusal) => Err(refusal),
        }
    }

    async fn reservation_view(
        &self,
        eyes: Eyes<'_>,
        id: ReservationId,
        found: Found,
    ) -> Result<ReservationView, Refusal> {
        let mut value = found.value;
        if found.pointer.open {
            let charger = found.pointer.charger_id;
            let name = charger.to_string();
            let live = self.chargers.read(charger.as_str(), Key::Reservation(id), move |state: &State| {
                state.reservation().map(|held| serde_json::to_value(held.view(id, &name)))
            });
            match live.await?.flatten() {
                Some(Ok(live)) => value = live,
                Some(Err(error)) => return Err(corrupt(TABLE, &id.to_string(), &error)),
                // It left memory between the row and the look: the row has all of it now.
                None => {
                    let row = self.journal.row(TABLE, &id.to_string()).await?.ok_or(Code::ReservationUnknown)?;
                    let found = read_row(&id.to_string(), &row)?;
                    // Neither in memory nor over: it is in quarantine, or being rebuilt.
                    if found.pointer.open {
                        return Err(Code::Quarantined.into());
                    }
                    value = found.value;
                }
            }
        }
        self.dress(&mut value, matches!(eyes, Eyes::Operator)).await?;
        serde_json::from_value(value).map_err(|error| corrupt(TABLE, &id.to_string(), &error))
    }

    async fn reservations_of(
        &self,
        eyes: Eyes<'_>,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal> {
        let (table, prefix) = self.listing(eyes, (TABLE, BY_USER), filter.user_id.as_deref());
        self.newest_first((table, &prefix), page, |row| self.listed_reservation(eyes, &filter, row)).await
    }

    /// The reservation of a listed row, if the filter wants it.
    async fn listed_reservation(
        &self,
        eyes: Eyes<'_>,
        filter: &ReservationFilter,
        StoredRow { key, value }: StoredRow,
    ) -> Result<Option<ReservationView>, Refusal> {
        let id: ReservationId =
            key.rsplit('/').next().unwrap_or(&key).parse().map_err(|error| corrupt(TABLE, &key, &error))?;
        let listed = read_row(&key, &value)?.pointer;
        let wanted = filter.open.is_none_or(|open| open == listed.open)
            && filter.charger_id.as_ref().is_none_or(|charger| *charger == listed.charger_id);
        if !wanted {
            return Ok(None);
        }
        let found = self.reservation_row(eyes, id).await?;
        match self.reservation_view(eyes, id, found).await {
            Ok(view) => Ok(Some(view)),
            // One that has failed must not keep the others from being seen (I14); it is in the list of the quarantine.
            Err(refusal) if refusal.code == Code::Quarantined => {
                tracing::warn!(reservation = %id, "a reservation in quarantine is left out of a list");
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Other free connectors of the site, where the charger failed its user (RS-6).
    async fn offer(&self, view: &mut ReservationView) -> Result<(), Refusal> {
        let cause = view.end_cause.clone().unwrap_or_default();
        let cause: Option<reservation::EndCause> = serde_json::from_value(cause.into()).ok();
        let Some(site) = self.register.site(&view.charger_id).filter(|_| cause.is_some_and(|cause| cause.is_ours()))
        else {
            return Ok(());
        };
        for charger_id in self.register.at_site(&site) {
            if !self.register.is_online(&charger_id) {
                continue;
            }
            let charger = self.charger_view(Eyes::Operator, &charger_id).await?;
            let usable = charger.connectors.iter().filter(|one| one.status == ConnectorStatus::Available);
            for one in usable.filter(|_| !charger.maintenance) {
                if view.alternatives.len() == ALTERNATIVES_MAX {
                    return Ok(());
                }
                view.alternatives.push(Alternative { charger_id: charger_id.clone(), connector_id: one.connector_id });
            }
        }
        Ok(())
    }
}

fn read_row(key: &str, row: &[u8]) -> Result<Found, Refusal> {
    let value: Value = serde_json::from_slice(row).map_err(|error| corrupt(TABLE, key, &error))?;
    let pointer = Pointer::deserialize(&value).map_err(|error| corrupt(TABLE, key, &error))?;
    Ok(Found { pointer, value })
}

fn wire_status(status: reservation::Status) -> ReservationStatus {
    match status {
        reservation::Status::PendingPayment => ReservationStatus::PendingPayment,
        reservation::Status::Reserved => ReservationStatus::Reserved,
        reservation::Status::Failed => ReservationStatus::Failed,
        reservation::Status::Fulfilled => ReservationStatus::Fulfilled,
        reservation::Status::Cancelled => ReservationStatus::Cancelled,
        reservation::Status::NoShow => ReservationStatus::NoShow,
        reservation::Status::Disputed => ReservationStatus::Disputed,
    }
}
