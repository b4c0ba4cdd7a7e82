//! A runtime in memory behind the port: realistic enough that every rule of HTTP can be seen, with faults to inject. Owns
//! sessions, sites, chargers and keys of a test; never forgets.

mod accounts;
mod catalogue;
mod credentials;
mod desk;
mod onboarding;
mod operator;
mod orders;
mod reservations;
mod statements;
mod tcec;
mod webhooks;

use crate::api::catalogue::Code;
use crate::api::partner::{KeyDirectory, KeyRecord};
use crate::api::port::*;
use crate::clock::Timestamp;
use crate::domain::access::Grant;
use crate::ids::{ChargerId, PartnerId, ReservationId, SessionId, SiteId};
use crate::persistence::{CreateOnce, JournalError};
use async_trait::async_trait;
use secrecy::SecretString;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// An [`OnceStore`] in memory that outlives the API built on it.
#[derive(Debug, Default)]
pub(crate) struct MemoryOnce {
    pub(crate) values: Mutex<HashMap<String, Vec<u8>>>,
    /// The next so many calls fail.
    pub(crate) failing: AtomicUsize,
}

impl MemoryOnce {
    fn check(&self) -> Result<(), JournalError> {
        match self.failing.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)) {
            Ok(_) => Err(JournalError::Unavailable("injected".into())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl OnceStore for MemoryOnce {
    async fn create_once(&self, key: &str, value: &[u8], _: Duration) -> Result<CreateOnce, JournalError> {
        self.check()?;
        // A store takes its time: others run in between.
        tokio::task::yield_now().await;
        let mut values = self.values.lock().unwrap();
        if let Some(first) = values.get(key) {
            return Ok(CreateOnce::Exists(first.clone()));
        }
        values.insert(key.to_owned(), value.to_vec());
        Ok(CreateOnce::Created)
    }

    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.check()?;
        tokio::task::yield_now().await;
        Ok(self.values.lock().unwrap().get(key).cloned())
    }

    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        self.check()?;
        self.values.lock().unwrap().remove(key);
        Ok(())
    }
}

/// Keys of a test, whether they are still being read, and which were used.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<HashMap<String, Arc<KeyRecord>>>, AtomicBool, Mutex<Vec<String>>);

impl Keys {
    pub(crate) fn put(&self, key_id: &str, partner: &str, secret: &str, revoked: bool) {
        self.keep(key_id, KeyRecord { revoked, ..record(partner, secret) });
    }

    pub(crate) fn put_granted(&self, key_id: &str, partner: &str, secret: &str, grant: Grant) {
        self.keep(key_id, KeyRecord { grant: Arc::new(grant), ..record(partner, secret) });
    }

    pub(crate) fn put_until(&self, key_id: &str, partner: &str, secret: &str, expires: Timestamp) {
        self.keep(key_id, KeyRecord { expires: Some(expires), ..record(partner, secret) });
    }

    fn keep(&self, key_id: &str, record: KeyRecord) {
        self.0.lock().unwrap().insert(key_id.to_owned(), Arc::new(record));
    }

    pub(crate) fn uses(&self) -> Vec<String> {
        self.2.lock().unwrap().clone()
    }

    pub(crate) fn recovering(&self, still: bool) {
        self.1.store(still, SeqCst);
    }
}

impl KeyDirectory for Keys {
    fn key(&self, key_id: &str) -> Option<Arc<KeyRecord>> {
        self.0.lock().unwrap().get(key_id).cloned()
    }

    fn used(&self, key_id: &str, _: Timestamp) {
        self.2.lock().unwrap().push(key_id.to_owned());
    }

    fn complete(&self) -> bool {
        !self.1.load(SeqCst)
    }
}

fn record(partner: &str, secret: &str) -> KeyRecord {
    let (partner, secret) = (partner.parse().unwrap(), SecretString::from(secret));
    KeyRecord { partner, secret, grant: Arc::default(), revoked: false, expires: None }
}

/// What happens to the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Refused with this code, nothing done.
    Refuse(Code),
    /// Done, but the answer is lost.
    LoseAnswer,
    /// The handler panics.
    Panic,
    /// It never comes back.
    Hang,
}

#[derive(Debug, Default)]
struct World {
    sessions: BTreeMap<SessionId, (PartnerId, SessionView)>,
    stops: HashMap<(SessionId, String), SessionStatus>,
    reservations: BTreeMap<ReservationId, (PartnerId, ReservationView)>,
    chargers: BTreeMap<ChargerId, OperatorChargerView>,
    sites: BTreeMap<SiteId, SiteView>,
    partners: BTreeMap<PartnerId, PartnerView>,
    applications: BTreeMap<PartnerId, (String, ApplicationView)>,
    events: Vec<(PartnerId, serde_json::Value)>,
    faults: Vec<Fault>,
    commands: BTreeMap<uuid::Uuid, CommandView>,
    quarantined: Vec<String>,
    pub(crate) erased: Vec<String>,
    configs: Vec<ConfigVersionView>,
    tokens: Vec<String>,
    pub(crate) desk: desk::Desk,
}

/// The runtime.
#[derive(Debug, Default)]
pub(crate) struct Runtime {
    world: Mutex<World>,
    /// Calls of `start_session`.
    pub(crate) starts: AtomicUsize,
    /// Calls of `replay`.
    pub(crate) replays: AtomicUsize,
    /// What is agreed with partners who speak T/CEC 102.
    pub(crate) relations: Mutex<BTreeMap<PartnerId, Arc<Relation>>>,
    /// In force everywhere.
    pub(crate) tariff: Mutex<Option<Arc<crate::domain::tariff::Tariff>>>,
    pub(crate) not_ready: Mutex<Vec<String>>,
    /// Tariffs, by the product's own rules.
    book: Mutex<crate::domain::tariff::Book>,
}

const NOW: Moment = Moment(Timestamp(1_767_322_995_000));

pub(crate) fn charger_view(id: &str, site: &str, connectors: u16) -> ChargerView {
    let connector = |n| ConnectorView {
        connector_id: crate::ids::ConnectorId(n),
        status: ConnectorStatus::Available,
        status_at: Some(NOW),
        error: None,
        lock: None,
        facts: None,
        session_id: None,
    };
    ChargerView {
        charger_id: id.parse().unwrap(),
        site_id: site.parse().unwrap(),
        online: true,
        status_at: Some(NOW),
        maintenance: false,
        vendor: None,
        model: None,
        connectors: (1..=connectors).map(connector).collect(),
    }
}

fn paged<T>(items: impl Iterator<Item = (String, T)>, page: &PageRequest) -> Page<T> {
    let after = page.cursor.clone().unwrap_or_default();
    let mut left = items.filter(|(key, _)| *key > after);
    let taken: Vec<_> = left.by_ref().take(page.limit).collect();
    let next = taken.last().map(|(key, _)| key.clone()).filter(|_| left.next().is_some());
    Page { items: taken.into_iter().map(|(_, item)| item).collect(), next }
}

impl Runtime {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A runtime with chargers `CP1`, `CP2` at site `S1`.
    pub(crate) fn new() -> Arc<Self> {
        let runtime = Arc::new(Runtime::default());
        for id in ["CP1", "CP2"] {
            let charger = charger_view(id, "S1", 2);
            let (boot, auth) = (BootPolicy::Accepted, ChargerAuth::Basic);
            let view = OperatorChargerView {
                charger,
                boot,
                auth,
                security: SecurityView::default(),
                commands: vec![],
                flags: vec![],
                device: None,
            };
            runtime.world().chargers.insert(id.parse().unwrap(), view);
        }
        runtime
    }

    pub(crate) fn next_fault(&self, fault: Fault) {
        self.world().faults.push(fault);
    }

    /// Faults that nobody has met yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.world().faults.len()
    }

    pub(crate) fn set_online(&self, id: &str, online: bool) {
        self.world().chargers.get_mut(&id.parse().unwrap()).unwrap().charger.online = online;
    }

    pub(crate) fn session_count(&self) -> usize {
        self.world().sessions.len()
    }

    pub(crate) fn add_event(&self, partner: &str, event: serde_json::Value) {
        self.world().events.push((partner.parse().unwrap(), event));
    }

    /// Frees a connector by ending its session.
    pub(crate) fn finish(&self, id: SessionId) {
        self.world().sessions.get_mut(&id).unwrap().1.status = SessionStatus::Ended;
    }

    async fn fault(&self) -> Result<bool, Refusal> {
        let fault = self.world().faults.pop();
        match fault {
            None => Ok(false),
            Some(Fault::LoseAnswer) => Ok(true),
            Some(Fault::Refuse(code)) => Err(code.into()),
            Some(Fault::Panic) => panic!("injected secret detail"),
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    fn own(&self, partner: &PartnerId, id: SessionId) -> Result<SessionView, Refusal> {
        let world = self.world();
        let found = world.sessions.get(&id).filter(|(owner, _)| owner == partner);
        found.map(|(_, view)| view.clone()).ok_or(Code::SessionUnknown.into())
    }

    fn begin(&self, partner: &PartnerId, start: Start) -> Result<(), Refusal> {
        let mut world = self.world();
        if world.sessions.contains_key(&start.session_id) {
            return Ok(());
        }
        let charger = &world.chargers.get(&start.charger_id).ok_or(Code::ChargerUnknown)?.charger;
        if !charger.online {
            return Err(Code::ChargerOffline.into());
        }
        if !charger.connectors.iter().any(|c| c.connector_id == start.connector_id) {
            return Err(Code::ConnectorUnknown.into());
        }
        let open = |s: &SessionView| !matches!(s.status, SessionStatus::Ended | SessionStatus::Failed);
        let same = |s: &SessionView| s.charger_id == start.charger_id && s.connector_id == start.connector_id;
        if world.sessions.values().any(|(_, s)| open(s) && same(s)) {
            return Err(Code::ConnectorOccupied.into());
        }
        let view = SessionView {
            session_id: start.session_id,
            request_id: Some(start.request_id),
            partner_id: Some(partner.clone()),
            charger_id: start.charger_id,
            connector_id: start.connector_id,
            user_id: Some(start.user.id),
            status: SessionStatus::Starting,
            created_at: NOW,
            started_at: None,
            reservation_id: start.reservation_id,
            ended_at: None,
            transaction_id: None,
            energy_wh: 0,
            power_w: None,
            soc_percent: None,
            duration_s: 0,
            meter_start_wh: None,
            meter_stop_wh: None,
            end_reason: None,
            error: None,
            failure: None,
            order_id: None,
            amount_so_far: None,
            frozen: None,
            bill: None,
            flags: vec![],
            readings: None,
        };
        world.sessions.insert(start.session_id, (partner.clone(), view));
        Ok(())
    }
}

#[async_trait]
impl PartnerPort for Runtime {
    async fn start_session(&self, partner: &PartnerId, start: Start) -> Result<(), Refusal> {
        self.starts.fetch_add(1, SeqCst);
        let lost = self.fault().await?;
        // The journal takes its time.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.begin(partner, start)?;
        if lost { Err(Code::OutcomeUnknown.into()) } else { Ok(()) }
    }

    async fn stop_session(&self, partner: &PartnerId, stop: Stop) -> Result<SessionStatus, Refusal> {
        self.own(partner, stop.session_id)?;
        let lost = self.fault().await?;
        let mut world = self.world();
        let key = (stop.session_id, stop.request_id.to_string());
        if let Some(status) = world.stops.get(&key) {
            return Ok(*status);
        }
        let (_, session) = world.sessions.get_mut(&stop.session_id).unwrap();
        if session.status == SessionStatus::Ended {
            return Err(Code::SessionEnded.into());
        }
        session.status = SessionStatus::StopPending;
        world.stops.insert(key, SessionStatus::StopPending);
        if lost { Err(Code::OutcomeUnknown.into()) } else { Ok(SessionStatus::StopPending) }
    }

    async fn operation(&self, partner: &PartnerId, which: &OperationRef) -> Result<Option<OperationState>, Refusal> {
        let Ok(session) = self.own(partner, which.session_id) else { return Ok(None) };
        let status = match session.status {
            SessionStatus::Starting | SessionStatus::StopPending => OperationStatus::Pending,
            SessionStatus::Failed | SessionStatus::Abnormal => OperationStatus::Failed,
            SessionStatus::Charging | SessionStatus::Ended => OperationStatus::Succeeded,
        };
        Ok(Some(OperationState { status, error: None, at: NOW }))
    }

    async fn session(&self, partner: &PartnerId, id: SessionId) -> Result<SessionView, Refusal> {
        if self.fault().await? {
            return Err(Code::OutcomeUnknown.into());
        }
        self.own(partner, id)
    }

    async fn sessions(
        &self,
        partner: &PartnerId,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Result<Page<SessionView>, Refusal> {
        let world = self.world();
        let own = world.sessions.values().filter(|(owner, _)| owner == partner).map(|(_, view)| view.clone());
        let of_user = |s: &SessionView| filter.user_id.is_none() || s.user_id == filter.user_id;
        let open = |s: &SessionView| filter.open.is_none_or(|open| open == (s.status != SessionStatus::Ended));
        let found = own.filter(|s| of_user(s) && open(s)).map(|s| (s.session_id.to_string(), s));
        Ok(paged(found, &page))
    }

    async fn site(&self, _: &PartnerId, id: &SiteId) -> Result<SiteView, Refusal> {
        self.world().sites.get(id).cloned().ok_or(Code::SiteUnknown.into())
    }

    async fn site_tariff(
        &self,
        partner: &PartnerId,
        id: &SiteId,
    ) -> Result<Arc<crate::domain::tariff::Tariff>, Refusal> {
        self.site(partner, id).await?;
        self.tariff_at(id, None).await
    }

    async fn sites(&self, _: &PartnerId, page: PageRequest) -> Result<Page<SiteView>, Refusal> {
        Ok(paged(self.world().sites.iter().map(|(id, site)| (id.to_string(), site.clone())), &page))
    }

    async fn charger(&self, _: &PartnerId, id: &ChargerId) -> Result<ChargerView, Refusal> {
        self.world().chargers.get(id).map(|c| c.charger.clone()).ok_or(Code::ChargerUnknown.into())
    }

    async fn chargers(&self, _: &PartnerId, page: PageRequest) -> Result<Page<ChargerView>, Refusal> {
        Ok(paged(self.world().chargers.iter().map(|(id, c)| (id.to_string(), c.charger.clone())), &page))
    }

    async fn events(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal> {
        let after: usize = match &page.cursor {
            Some(text) => text.parse().map_err(|_| Refusal::field("after", "is no cursor", "an earlier `next`"))?,
            None => 0,
        };
        let world = self.world();
        let own = world.events.iter().enumerate().skip(after).filter(|(_, (owner, _))| owner == partner);
        let found: Vec<_> = own.take(page.limit).collect();
        let next = found.last().map_or(after, |(n, _)| n + 1);
        let items = found.into_iter().map(|(_, (_, event))| event.clone()).collect();
        Ok(Page { items, next: Some(next.to_string()) })
    }
}

impl Runtime {
    pub(crate) fn quarantine(&self, entity: &str) {
        self.world().quarantined.push(entity.to_owned());
    }
    pub(crate) fn erased(&self) -> Vec<String> {
        self.world().erased.clone()
    }
    pub(crate) fn token_count(&self) -> usize {
        self.world().tokens.len()
    }
}
