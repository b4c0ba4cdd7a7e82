//! The world of the driver's tests: what is durable (partition, outbox) outlives a crash, the driver does not.

use super::*;

/// The durable side.
#[derive(Default)]
pub(super) struct Store {
    pub(super) outbox: Mutex<Vec<OutboxEntry>>,
    pub(super) rows: Mutex<std::collections::BTreeMap<(&'static str, String), Vec<u8>>>,
    /// Outbox reads that fail before the next succeeds.
    pub(super) failing_reads: Mutex<u32>,
    pub(super) largest_read: Mutex<usize>,
    /// Outbox reads that gave something.
    pub(super) reads: Mutex<usize>,
}

#[async_trait]
impl Journal for Store {
    async fn outbox(&self, partner: &PartnerId, after: u64, limit: usize) -> Result<Vec<OutboxEntry>, JournalError> {
        {
            let mut failing = self.failing_reads.lock().unwrap();
            if *failing > 0 {
                *failing -= 1;
                return Err(JournalError::Unavailable("for a test".into()));
            }
        }
        let mut largest = self.largest_read.lock().unwrap();
        *largest = limit.max(*largest);
        let outbox = self.outbox.lock().unwrap();
        let theirs = outbox.iter().filter(|row| row.notice.partner == *partner && row.position > after);
        let page: Vec<OutboxEntry> = theirs.take(limit).cloned().collect();
        *self.reads.lock().unwrap() += usize::from(!page.is_empty());
        Ok(page)
    }
    async fn row(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows.iter().find(|((t, k), _)| *t == table && k == key).map(|(_, value)| value.clone()))
    }
    async fn rows(
        &self,
        table: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        let rows = self.rows.lock().unwrap();
        let wanted = rows.iter().filter(|((t, key), _)| {
            *t == table && key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        let stored =
            |((_, key), value): (&(&str, String), &Vec<u8>)| StoredRow { key: key.clone(), value: value.clone() };
        Ok(wanted.take(limit).map(stored).collect())
    }
    async fn rows_back(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Result<Vec<StoredRow>, JournalError> {
        unreachable!("drivers read forwards")
    }
    async fn claim(&self, _: &StreamName) -> Result<Claimed, JournalError> {
        unreachable!("drivers do not write")
    }
    async fn append(&self, _: &Token, _: Append) -> Result<Appended, AppendError> {
        unreachable!("drivers do not write")
    }
    async fn resolve(&self, _: &Token, _: u128) -> Result<bool, JournalError> {
        unreachable!("drivers do not write")
    }
    async fn snapshot(&self, _: &Token, _: Snapshot, _: bool) -> Result<(), JournalError> {
        unreachable!("drivers do not write")
    }
    async fn streams(&self, _: &str) -> Result<Vec<StreamSummary>, JournalError> {
        unreachable!("drivers look at one partner")
    }
    async fn create_once(&self, _: &str, _: &[u8], _: Duration) -> Result<CreateOnce, JournalError> {
        unreachable!("drivers do not write")
    }
    async fn lookup_once(&self, _: &str) -> Result<Option<Vec<u8>>, JournalError> {
        unreachable!("drivers have no idempotency keys")
    }
    async fn remove_once(&self, _: &str) -> Result<(), JournalError> {
        unreachable!("drivers do not write")
    }
    fn is_full(&self) -> bool {
        false
    }
    fn epoch(&self) -> u64 {
        unreachable!("drivers count nothing")
    }
    fn downtime(&self) -> Duration {
        Duration::ZERO
    }
}

/// The engine, as far as a driver sees it: a step takes 2 ms to become durable.
pub(super) struct Engine {
    pub(super) partition: Rc<RefCell<Partition>>,
    pub(super) queue: QueueId,
    store: Arc<Store>,
    clock: RuntimeClock,
    pub(super) unavailable: RefCell<u32>,
    pub(super) reports: RefCell<u32>,
}

#[async_trait(?Send)]
impl QueueFacts for Engine {
    async fn ask(&self, command: QueueCommand) -> Result<QueueReply, FactsError> {
        if *self.unavailable.borrow() > 0 {
            *self.unavailable.borrow_mut() -= 1;
            return Err(FactsError::Unavailable(Duration::from_secs(1)));
        }
        sleep(Duration::from_millis(2)).await;
        if matches!(command, QueueCommand::Report(_)) {
            *self.reports.borrow_mut() += 1;
        }
        let mut partition = self.partition.borrow_mut();
        let stepped = partition.ask_queue(self.queue, command, self.clock.now())?;
        *self.store.rows.lock().unwrap() = partition.rows.clone();
        match stepped.reply {
            PartnerReply::Queue(reply) => Ok(reply),
            PartnerReply::Done => Ok(QueueReply::Done),
        }
    }
}

type Script = Box<dyn FnMut(&str, u32) -> (Duration, Answer) + Send>;

/// A partner that answers by script: (event id, which time it comes) to (after how long, what).
pub(super) struct Partner {
    script: Mutex<Script>,
    clock: RuntimeClock,
    /// Arrivals: when in milliseconds, id, signature time.
    pub(super) seen: Mutex<Vec<(i64, String)>>,
    counts: Mutex<HashMap<String, u32>>,
    pub(super) signatures: Mutex<Vec<(i64, String)>>,
    pub(super) bodies: Mutex<Vec<serde_json::Value>>,
    /// What was to come back, for each request.
    pub(super) challenges: Mutex<Vec<Option<String>>>,
}

#[async_trait]
impl Deliver for Partner {
    async fn deliver(&self, delivery: Delivery) -> Answer {
        let at = self.clock.now().0;
        let times = {
            let mut counts = self.counts.lock().unwrap();
            let times = counts.entry(delivery.id.clone()).or_default();
            *times += 1;
            *times
        };
        self.seen.lock().unwrap().push((at, delivery.id.clone()));
        self.bodies.lock().unwrap().push(serde_json::from_slice(&delivery.body).unwrap());
        self.signatures.lock().unwrap().push((delivery.timestamp, delivery.signature));
        let asked = delivery.challenge.is_some();
        self.challenges.lock().unwrap().push(delivery.challenge);
        // An id of a challenge is new each time.
        let id = if asked { "challenge" } else { &delivery.id };
        let (after, answer) = (self.script.lock().unwrap())(id, times);
        // The sender's own time-out.
        let limit = Duration::from_secs(15);
        sleep(after.min(limit)).await;
        if after > limit { Answer::TimedOut } else { answer }
    }
}

pub(super) struct Directory(pub(super) RefCell<Option<Arc<Target>>>);

impl EndpointSource for Directory {
    fn target(&self) -> Option<Arc<Target>> {
        self.0.borrow().clone()
    }
}

/// Opens what is sealed, unless it is locked.
#[derive(Default)]
pub(super) struct Wardrobe {
    pub(super) locked: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Dress for Wardrobe {
    async fn dress(&self, data: &mut serde_json::Value) -> Result<(), String> {
        if self.locked.load(Ordering::Acquire) {
            return Err("locked".into());
        }
        if let Some(members) = data.as_object_mut() {
            members.remove("sealed");
            members.insert("user_id".into(), "u1".into());
        }
        Ok(())
    }
}

pub(super) struct World {
    pub(super) id: PartnerId,
    pub(super) store: Arc<Store>,
    pub(super) engine: Rc<Engine>,
    pub(super) partner: Arc<Partner>,
    pub(super) directory: Rc<Directory>,
    pub(super) wardrobe: Arc<Wardrobe>,
    pub(super) board: Arc<QueueBoard>,
    pub(super) settings: Arc<ArcSwap<Webhook>>,
    pub(super) handle: QueueHandle,
    pub(super) clock: RuntimeClock,
    task: Option<JoinHandle<Result<(), DriverError>>>,
}

pub(super) fn target(events: Subscriptions) -> Arc<Target> {
    target_of("default", Wants { events, sites: Sites::All }, 1)
}

/// One of so many endpoints.
pub(super) fn target_of(name: &str, wants: Wants, share: usize) -> Arc<Target> {
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    Arc::new(target_with(name, wants, share, vec![(secret, None)]))
}

pub(super) fn target_with(
    name: &str,
    wants: Wants,
    share: usize,
    secrets: Vec<(SigningSecret, Option<Timestamp>)>,
) -> Target {
    let url = format!("https://acme.example/{name}");
    Target { name: name.parse().unwrap(), url, secrets, wants, share, face: None }
}

impl World {
    /// A partner with this script, and its driver running.
    pub(super) fn new(script: impl FnMut(&str, u32) -> (Duration, Answer) + Send + 'static) -> Self {
        let mut world = Self::at_rest(script);
        world.start();
        world
    }

    pub(super) fn at_rest(script: impl FnMut(&str, u32) -> (Duration, Answer) + Send + 'static) -> Self {
        let clock = RuntimeClock::starting_at(Timestamp(0));
        let mut partition = Partition::new();
        partition.order(PartnerOrder::Define(Profile::default()), 0).unwrap();
        let store = Arc::new(Store::default());
        let engine = Engine {
            partition: Rc::new(RefCell::new(partition)),
            queue: QueueId::MAIN,
            store: store.clone(),
            clock,
            unavailable: RefCell::new(0),
            reports: RefCell::new(0),
        };
        let partner = Partner {
            script: Mutex::new(Box::new(script)),
            clock,
            seen: Mutex::default(),
            counts: Mutex::default(),
            signatures: Mutex::default(),
            bodies: Mutex::default(),
            challenges: Mutex::default(),
        };
        let mut table: toml::Table = crate::config::DEFAULTS.parse().unwrap();
        let defaults: Webhook = table.remove("webhook").unwrap().try_into().unwrap();
        let settings = Webhook {
            window: 2000,
            in_flight: 8,
            rate_per_s: 0,
            probe_after: 0,
            read_ahead: 64,
            settle_batch: 32,
            ..defaults
        };
        World {
            id: "acme".parse().unwrap(),
            store,
            engine: Rc::new(engine),
            partner: Arc::new(partner),
            directory: Rc::new(Directory(RefCell::new(Some(target(Subscriptions::All))))),
            wardrobe: Arc::default(),
            board: Arc::default(),
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            handle: QueueHandle::default(),
            clock,
            task: None,
        }
    }

    /// Another endpoint of the same partner, at rest: the same store, the same partition, a receiver of its own.
    pub(super) fn beside(
        &self,
        queue: QueueId,
        target: Arc<Target>,
        script: impl FnMut(&str, u32) -> (Duration, Answer) + Send + 'static,
    ) -> World {
        let mut other = Self::at_rest(script);
        other.store = self.store.clone();
        other.engine = Rc::new(Engine {
            partition: Rc::clone(&self.engine.partition),
            queue,
            store: self.store.clone(),
            clock: self.clock,
            unavailable: RefCell::new(0),
            reports: RefCell::new(0),
        });
        other.directory = Rc::new(Directory(RefCell::new(Some(target))));
        other.board = self.board.clone();
        other
    }

    /// The URL of the endpoint is new.
    pub(super) fn challenge(&self) {
        use crate::domain::delivery::{PartnerCommand, PartnerKey, Proof};
        let command = PartnerCommand::Queue(QueueCommand::Aim { from: None, proof: Proof::Needed });
        let mut partition = self.engine.partition.borrow_mut();
        partition.step(PartnerKey::Queue(self.engine.queue), command, self.clock.now()).unwrap();
        drop(partition);
        self.handle.look_again();
    }

    pub(super) fn start(&mut self) {
        self.handle = QueueHandle::default();
        let driver = QueueDriver {
            partner: self.id.clone(),
            queue: self.engine.queue,
            journal: self.store.clone(),
            facts: self.engine.clone(),
            deliver: self.partner.clone(),
            endpoint: self.directory.clone(),
            dress: self.wardrobe.clone(),
            clock: Arc::new(self.clock),
            board: self.board.clone(),
            settings: self.settings.clone(),
            handle: self.handle.clone(),
        };
        self.task = Some(tokio::task::spawn_local(driver.run()));
    }

    /// kill -9, as far as the driver is concerned.
    pub(super) async fn crash(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(super) async fn ended(&mut self) -> Result<(), DriverError> {
        self.task.take().unwrap().await.unwrap()
    }

    pub(super) fn edit(&self, edit: impl Fn(&mut Webhook)) {
        let mut settings = (**self.settings.load()).clone();
        edit(&mut settings);
        self.settings.store(Arc::new(settings));
    }

    /// An event of this kind is durable; its id is `e<position>`.
    pub(super) fn publish(&self, kind: &str, order_key: &str) -> String {
        self.publish_at(kind, order_key, None)
    }

    /// One that happened at this site.
    pub(super) fn publish_at(&self, kind: &str, order_key: &str, site: Option<&str>) -> String {
        let mut outbox = self.store.outbox.lock().unwrap();
        let position = outbox.last().map_or(1, |last: &OutboxEntry| last.position + 1);
        let notice = Notice {
            partner: self.id.clone(),
            kind: kind.into(),
            order_key: order_key.into(),
            sequence: (!kind.ends_with(".status")).then_some(position),
            at: self.clock.now(),
            data: match site {
                Some(site) => serde_json::json!({"n": position, "sealed": "secret", "site_id": site}),
                None => serde_json::json!({"n": position, "sealed": "secret"}),
            },
        };
        let id = format!("e{position}");
        outbox.push(OutboxEntry { position, id: id.clone(), notice });
        drop(outbox);
        self.handle.nudge();
        id
    }

    pub(super) fn session(&self, n: u32) -> String {
        self.publish("session.progress", &format!("session/{n}"))
    }

    /// Ids in the order in which they came.
    pub(super) fn seen(&self) -> Vec<String> {
        self.partner.seen.lock().unwrap().iter().map(|(_, id)| id.clone()).collect()
    }

    /// When this event came, in whole seconds.
    pub(super) fn times(&self, id: &str) -> Vec<i64> {
        let seen = self.partner.seen.lock().unwrap();
        seen.iter().filter(|(_, seen)| seen == id).map(|(at, _)| at / 1000).collect()
    }

    pub(super) fn queue(&self) -> crate::domain::delivery::Queue {
        self.engine.partition.borrow().queue_of(self.engine.queue)
    }

    pub(super) async fn operate(&self, command: QueueCommand) {
        self.engine.ask(command).await.unwrap();
        self.handle.look_again();
    }

    pub(super) fn service(&self) -> WebhookService {
        WebhookService::new(self.store.clone(), self.board.clone())
    }
}

pub(super) async fn seconds(n: u64) {
    sleep(Duration::from_secs(n)).await;
}

pub(super) async fn minutes(n: u64) {
    seconds(60 * n).await;
}
