//! The loop of a queue's driver: its volatile state, and its steps from the outbox to the partner. The steps from there to the
//! journal are in `asking.rs`.

mod asking;
mod knocking;

use super::{DriverError, FactsError, QueueDriver, QueueHandle, Target, Tuning};
use crate::actors::webhook::board::QueueView;
use crate::actors::webhook::replay::entry_of;
use crate::actors::webhook::sender::Delivery;
use crate::clock::{Clock, RuntimeClock, Timestamp};
use crate::config::webhook::Webhook;
use crate::domain::delivery::{
    Answer, Arrival, Attempt, Class, Knock, Next, Pick, QueueCommand, QueueReply, Replay, Report, Scheduler,
};
use crate::ids::PartnerId;
use crate::persistence::{JournalError, OutboxEntry};
use crate::protocol::webhook::{body, signature_header};
use crate::telemetry::metrics::webhook as metrics;
use asking::Answered;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Wait before an outbox that cannot be read is read again.
const READ_RETRY: Duration = Duration::from_secs(1);
/// Finished tries that may wait for the journal, in reports: past that no try is begun.
const REPORTS_BEHIND: usize = 4;
/// Pages of the outbox read in one turn, so that finished tries are not kept waiting.
const PAGES_A_TURN: usize = 8;

pub(super) struct Run {
    with: QueueDriver,
    tuning: Tuning,
    settings: Arc<Webhook>,
    share: usize,
    scheduler: Scheduler,
    /// Does not jump: begins at the wall clock's reading and follows the monotonic one.
    steady: RuntimeClock,
    sends: FuturesUnordered<BoxFuture<'static, Attempt>>,
    asking: Option<LocalBoxFuture<'static, Answered>>,
    finished: Vec<Attempt>,
    /// A report that the journal did not take yet.
    held: Option<Report>,
    urgent: bool,
    flush_at: Option<Instant>,
    /// Nothing is asked or read before this moment.
    ask_after: Instant,
    read_after: Instant,
    more: bool,
    observe: bool,
    stopping: bool,
    payloads: BTreeMap<u64, OutboxEntry>,
    replays: Vec<Replay>,
    /// What is to be asked of the endpoint.
    knock: Option<Knock>,
    knocking: Option<BoxFuture<'static, Answer>>,
    /// What it said.
    knocked: Option<Answer>,
    view: QueueView,
    wake: Option<Timestamp>,
    throttled_until: Option<Timestamp>,
}

impl Run {
    pub(super) async fn start(with: QueueDriver) -> Result<Self, DriverError> {
        let steady = RuntimeClock::starting_at(with.clock.now());
        let queue = loop {
            match with.facts.ask(QueueCommand::Observe).await {
                Ok(QueueReply::State(queue)) => break queue,
                Ok(other) => return Err(DriverError::Reply(format!("{other:?}"))),
                Err(FactsError::Unavailable(wait)) => tokio::time::sleep(wait).await,
                Err(error) => return Err(error.into()),
            }
        };
        let settings = with.settings.load_full();
        let share = with.endpoint.target().map_or(1, |target| target.share);
        let tuning = Tuning::of(&settings, share);
        let scheduler = Scheduler::new(tuning.pace.clone(), &queue);
        let now = Instant::now();
        let mut run = Run {
            with,
            tuning,
            settings,
            share,
            scheduler,
            steady,
            sends: FuturesUnordered::new(),
            asking: None,
            finished: Vec::new(),
            held: None,
            urgent: false,
            flush_at: None,
            ask_after: now,
            read_after: now,
            more: true,
            observe: false,
            stopping: false,
            payloads: BTreeMap::new(),
            replays: Vec::new(),
            knock: None,
            knocking: None,
            knocked: None,
            view: QueueView::default(),
            wake: None,
            throttled_until: None,
        };
        run.observed(&queue);
        Ok(run)
    }

    pub(super) async fn until_stopped(mut self) -> Result<(), DriverError> {
        loop {
            self.signals();
            // What cannot be signed is not sent.
            let now = self.with.clock.now();
            let target = self.with.endpoint.target().filter(|target| target.live(now).next().is_some());
            self.view.no_endpoint = target.is_none();
            self.wake = None;
            if let Some(target) = &target {
                self.tune(target.share);
                self.ask_endpoint(target);
            }
            if let Some(target) = target.filter(|_| self.scheduler.is_running() && !self.stopping) {
                self.read(&target).await?;
                self.send(&target).await?;
            }
            self.ask();
            self.show();
            if self.stopping && self.sends.is_empty() && self.asking.is_none() && !self.has_to_report() {
                return Ok(());
            }
            self.wait().await?;
        }
    }

    fn signals(&mut self) {
        let signals = &self.with.handle.0;
        self.more |= QueueHandle::take(&signals.arrived);
        if QueueHandle::take(&signals.changed) {
            self.observe = true;
        }
        if QueueHandle::take(&signals.stop) {
            self.stopping = true;
            self.urgent = true;
            // It is asked again by the next driver.
            (self.knocking, self.knocked) = (None, None);
        }
    }

    /// Takes over new settings, and another number of endpoints.
    fn tune(&mut self, share: usize) {
        let settings = self.with.settings.load_full();
        if share != self.share || !Arc::ptr_eq(&settings, &self.settings) {
            self.tuning = Tuning::of(&settings, share);
            self.scheduler.set_pace(self.tuning.pace.clone());
            (self.settings, self.share) = (settings, share);
        }
    }

    /// Reads on in the outbox while there is something and there is room.
    async fn read(&mut self, target: &Target) -> Result<(), DriverError> {
        let limit = self.tuning.read_ahead.max(1);
        for _ in 0..PAGES_A_TURN {
            if !self.more || self.scheduler.room() == 0 || Instant::now() < self.read_after {
                break;
            }
            let limit = limit.min(self.scheduler.room());
            let Some(page) = self.outbox(self.scheduler.tail(), limit).await? else { break };
            self.more = page.len() == limit;
            let now = self.steady.now();
            let arrivals = page.iter().map(|row| {
                let mut entry = entry_of(row);
                // Set once, here: the queue's facts keep the key under which an event was taken in.
                let lane = target.face.as_ref().and_then(|_| crate::api::tcec::pushes::lane(&entry.order_key));
                if let Some(lane) = lane {
                    entry.order_key = lane.into();
                }
                let wanted = target.wants.take(&target.name, &entry.kind, &row.notice.data);
                Arrival { entry, wanted }
            });
            self.scheduler.arrive(arrivals, now);
            self.keep(page, None);
        }
        metrics::COALESCED.add(self.scheduler.take_coalesced(), []);
        Ok(())
    }

    /// A page of the outbox; `None` when it cannot be read now.
    async fn outbox(&mut self, after: u64, limit: usize) -> Result<Option<Vec<OutboxEntry>>, DriverError> {
        match self.with.journal.outbox(&self.with.partner, after, limit).await {
            Ok(page) => Ok(Some(page)),
            Err(JournalError::Unavailable(_) | JournalError::Full) => {
                self.read_after = Instant::now() + READ_RETRY;
                Ok(None)
            }
            Err(error @ (JournalError::Corrupt { .. } | JournalError::Fenced)) => Err(error.into()),
        }
    }

    /// Holds the payloads of these events ready, of those that are held. Where there are more than may be, what comes last goes;
    /// of a page that is wanted at once (up to `wanted`) what is behind it, then what is before it and waits for something else
    /// than its turn.
    fn keep(&mut self, page: Vec<OutboxEntry>, wanted: Option<u64>) {
        let scheduler = &self.scheduler;
        let held = page.into_iter().filter(|row| scheduler.holds(row.position));
        self.payloads.extend(held.map(|row| (row.position, row)));
        if wanted.is_some() && self.payloads.len() > self.tuning.read_ahead {
            self.payloads.retain(|position, _| scheduler.holds(*position));
        }
        while self.payloads.len() > self.tuning.read_ahead {
            let _ = match self.payloads.last_key_value() {
                Some((last, _)) if wanted.is_none_or(|wanted| *last > wanted) => self.payloads.pop_last(),
                Some(_) | None => self.payloads.pop_first(),
            };
        }
    }

    /// Begins every try that may begin now.
    async fn send(&mut self, target: &Arc<Target>) -> Result<(), DriverError> {
        if self.finished.len() >= REPORTS_BEHIND * self.tuning.settle_batch.max(1) {
            return Ok(());
        }
        loop {
            let now = self.steady.now();
            if Instant::now() < self.read_after {
                return Ok(());
            }
            match self.scheduler.next(now) {
                Next::Send(pick) => self.begin(pick, target).await?,
                Next::Wait(until) => {
                    self.wake = until;
                    return Ok(());
                }
                Next::Throttled(until) => {
                    // Once a pause, not once a look.
                    if self.throttled_until.is_none_or(|before| before <= now) {
                        metrics::THROTTLED.add(1, []);
                        self.throttled_until = Some(until);
                    }
                    self.wake = Some(until);
                    return Ok(());
                }
            }
        }
    }

    async fn begin(&mut self, pick: Pick, target: &Arc<Target>) -> Result<(), DriverError> {
        let position = pick.entry.position;
        let payload = match self.payloads.remove(&position) {
            Some(payload) => Some(payload),
            None => {
                // First tries come in order, so those behind it are wanted next; a retry stands alone.
                let limit = if pick.attempt == 1 { (self.tuning.read_ahead / 4).max(1) } else { 1 };
                let Some(mut page) = self.outbox(position - 1, limit).await? else {
                    self.scheduler.put_back(position);
                    return Ok(());
                };
                let found = page.iter().position(|row| row.position == position).map(|at| page.swap_remove(at));
                let end = page.iter().map(|row| row.position).max();
                self.keep(page, end);
                found
            }
        };
        let started = self.with.clock.now();
        let trail = payload.as_ref().map(|row| Trail::of(row, &self.with.partner, pick.attempt));
        let (deliver, dress) = (self.with.deliver.clone(), self.with.dress.clone());
        let (target, begun) = (target.clone(), Instant::now());
        let waits = target.face.as_ref().and_then(|face| face.waits(&pick.entry.kind));
        self.sends.push(Box::pin(async move {
            let answer = match payload {
                Some(mut row) => match dress.dress(&mut row.notice.data).await {
                    Ok(()) => match &target.face {
                        Some(face) => face.send(&row, started).await,
                        None => deliver.deliver(sign(&row, &target, started, None)).await,
                    },
                    Err(why) => Answer::Broken(format!("the payload cannot be opened: {why}")),
                },
                None => Answer::Missing,
            };
            if let Some(trail) = trail {
                trail.log(&answer);
            }
            let took_ms = u64::try_from((Instant::now() - begun).as_millis()).unwrap_or(u64::MAX);
            Attempt { entry: pick.entry, replayed: pick.replayed, started, took_ms, answer, waits }
        }));
        Ok(())
    }

    /// A try has ended.
    fn ended(&mut self, attempt: Attempt) {
        let class = attempt.answer.class();
        let position = attempt.entry.position;
        if class == Class::Delivered {
            fault_point!("webhook.delivered", &attempt.entry.kind);
        }
        metrics::ATTEMPTS.add(1, [super::outcome_label(&attempt.answer)]);
        metrics::ATTEMPT_SECONDS.record(Duration::from_millis(attempt.took_ms).as_secs_f64(), []);
        match class {
            Class::Delivered => {
                self.scheduler.delivered(position);
                if !attempt.replayed {
                    let latency = self.with.clock.now().since(attempt.entry.at);
                    metrics::LATENCY_SECONDS.record(latency.as_secs_f64(), []);
                }
            }
            Class::Gone | Class::SlowDown | Class::Failed | Class::Hopeless => {
                self.scheduler.failed(position, class, attempt.answer.retry_after(), self.steady.now());
                self.urgent = true;
            }
        }
        self.finished.push(attempt);
        self.flush_later();
    }

    fn show(&mut self) {
        self.view.depth = self.scheduler.depth();
        self.view.more = self.scheduler.room() == 0;
        self.view.oldest = self.scheduler.oldest();
        self.view.in_flight = self.scheduler.in_flight();
        self.with.board.put(&self.with.partner, self.with.queue, self.view.clone());
    }

    /// Waits for whatever comes next, and takes it in.
    async fn wait(&mut self) -> Result<(), DriverError> {
        let now = Instant::now();
        let knock = self.knock.map(|knock| knock.due).filter(|_| self.may_knock() && !self.view.no_endpoint);
        let wake = [self.wake, knock].into_iter().flatten().min();
        let due = wake.map(|at| now + at.since(self.steady.now()));
        let flush = self.flush_at.filter(|_| self.asking.is_none()).map(|at| at.max(self.ask_after));
        let held = (self.asking.is_none() && now < self.ask_after).then_some(self.ask_after);
        let read = (now < self.read_after).then_some(self.read_after);
        // Reading stopped in the middle of much: go on after a look at everything else.
        let at_once = self.more && self.reads_on() && read.is_none();
        let next = if at_once { Some(now) } else { [due, flush, held, read].into_iter().flatten().min() };
        let mut answered = None;
        tokio::select! {
            biased;
            Some(finished) = self.sends.next() => {
                self.ended(finished);
                // All that have ended meanwhile, so that one turn takes them in together.
                while let Some(Some(finished)) = futures_util::FutureExt::now_or_never(self.sends.next()) {
                    self.ended(finished);
                }
            }
            reply = async { match self.asking.as_mut() { Some(asking) => asking.await, None => std::future::pending().await } } => {
                self.asking = None;
                answered = Some(reply);
            }
            said = async { match self.knocking.as_mut() { Some(asked) => asked.await, None => std::future::pending().await } } => {
                self.knocking = None;
                self.knocked = Some(said);
            }
            () = self.with.handle.0.notify.notified() => {}
            () = async { match next { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
        }
        answered.map_or(Ok(()), |answered| self.answered(answered))
    }

    fn reads_on(&self) -> bool {
        !self.stopping && !self.view.no_endpoint && self.scheduler.is_running() && self.scheduler.room() > 0
    }
}

/// What the log says of a try, so that a request can be followed to its partner (OP-7).
struct Trail {
    partner: PartnerId,
    event: String,
    kind: String,
    session: Option<String>,
    request: Option<String>,
    attempt: u16,
}

impl Trail {
    fn of(row: &OutboxEntry, partner: &PartnerId, attempt: u16) -> Self {
        let member = |name: &str| row.notice.data.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Trail {
            partner: partner.clone(),
            event: row.id.clone(),
            kind: row.notice.kind.clone(),
            session: member("session_id"),
            request: member("request_id"),
            attempt,
        }
    }

    fn log(self, answer: &Answer) {
        let Trail { partner, event, kind, session, request: request_id, attempt } = self;
        let outcome = super::outcome_label(answer);
        if session.is_some() {
            tracing::info!(%partner, event, kind, session, request_id, attempt, outcome, "webhook sent");
        } else {
            tracing::debug!(%partner, event, kind, attempt, outcome, "webhook sent");
        }
    }
}

fn sign(row: &OutboxEntry, target: &Target, now: Timestamp, challenge: Option<String>) -> Delivery {
    let body = body(row);
    let timestamp = now.as_seconds();
    let signature = signature_header(target.live(now), &row.id, timestamp, &body);
    Delivery { url: target.url.clone(), id: row.id.clone(), timestamp, signature, body: body.into(), challenge }
}
