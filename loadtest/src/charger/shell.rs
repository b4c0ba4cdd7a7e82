//! The one task of a simulated charger: its socket, its timer, its mailbox.
//!
//! Owns connecting, writing and saving. Never decides anything about charging. Invariant: outputs of the device are
//! carried out in order, and a save is done before the frames behind it are written.

use super::behaviour::{ChargerSpec, Profile};
use super::device::{Device, Out};
use super::people::AtCharger;
use super::state::{ChargerState, Status};
use super::store::FleetStore;
use crate::history::{ChargerRecord, FactKind, History};
use crate::net;
use crate::stats::{Measure, Stats, count};
use crate::time::{millis, now_ms, until};
use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Commands waiting at one charger; people do not press faster than this.
const MAILBOX: usize = 8;
/// How long the WebSocket handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);
/// How long one frame may take to be written before the socket counts as dead.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// The longest sleep between two looks at the clock.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

pub(crate) type Socket = Box<WebSocketStream<TcpStream>>;

/// What a fleet shares beside its profile.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where the chargers write their history.
    pub history: History,
    /// The figures.
    pub stats: Arc<Stats>,
    /// The flash memory; `None` when a restart of the simulator need not go on.
    pub store: Option<FleetStore>,
}

/// A connector as someone who stands before it sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectorView {
    /// The status on the display.
    pub status: Status,
    /// The server's transaction id, once known.
    pub transaction_id: Option<i64>,
    /// Energy of the transaction so far, Wh.
    pub energy_wh: i64,
    /// Power now, W.
    pub power_w: i64,
    /// The charger's number of the running transaction.
    pub local: Option<u64>,
}

/// A charger as someone who stands before it sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChargerView {
    /// Whether its socket is open.
    pub online: bool,
    /// Messages that no answer has come for.
    pub queued: usize,
    /// Its connectors.
    pub connectors: Vec<ConnectorView>,
}

/// A running simulated charger. Dropping it ends the charger (its state stays in the store).
#[derive(Debug)]
pub struct ChargerHandle {
    identity: String,
    mailbox: mpsc::Sender<AtCharger>,
    view: Arc<Mutex<ChargerView>>,
    power: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ChargerHandle {
    /// The identity.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Does something at the charger; `false` when its mailbox is full or it has ended.
    pub fn at_charger(&self, what: AtCharger) -> bool {
        self.mailbox.try_send(what).is_ok()
    }

    /// What it shows now.
    pub fn view(&self) -> ChargerView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Switches it off: the socket closes, the final record is written.
    pub async fn shut_down(self) {
        let _ = self.power.send(false);
        let _ = self.task.await; // a panic there has been reported by the runtime
    }
}

/// Starts a charger as it was last saved, or new out of the box.
pub fn spawn(spec: ChargerSpec, profile: Arc<Profile>, around: Surroundings) -> ChargerHandle {
    let saved = around.store.as_ref().and_then(|s| s.get(&spec.identity));
    // Registers differ from charger to charger, so that a mix-up shows.
    #[allow(clippy::cast_precision_loss, reason = "below a million")]
    let state =
        saved.unwrap_or_else(|| ChargerState::new(spec.scripts.len(), (spec.seed % 1_000_000) as f64, now_ms()));
    let (mailbox, commands) = mpsc::channel(MAILBOX);
    let (power, switch) = watch::channel(true);
    let view = Arc::new(Mutex::new(ChargerView::default()));
    let identity = spec.identity.clone();
    let device = Device::new(spec, profile.clone(), state);
    let shell = Shell {
        device,
        profile,
        around,
        view: view.clone(),
        link: Link::Down { until_ms: 0 },
        failures: 0,
        sent: None,
    };
    let task = tokio::spawn(shell.run(commands, switch));
    ChargerHandle { identity, mailbox, view, power, task }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Socket, String>> + Send>>;

enum Link {
    Down { until_ms: i64 },
    Connecting(Connecting),
    Up(Socket),
}

enum Happened {
    DialNow,
    Connected(Result<Socket, String>),
    Frame(Option<Result<Message, WsError>>),
}

impl Link {
    /// Waits for the next thing on the line. Cancel-safe: nothing is lost when another branch wins.
    async fn next(&mut self) -> Happened {
        match self {
            Link::Down { until_ms } => {
                tokio::time::sleep(until(*until_ms, now_ms()).min(SLEEP_MAX)).await;
                Happened::DialNow
            }
            Link::Connecting(dialling) => Happened::Connected(dialling.await),
            Link::Up(socket) => Happened::Frame(socket.next().await),
        }
    }
}

struct Shell {
    device: Device,
    profile: Arc<Profile>,
    around: Surroundings,
    view: Arc<Mutex<ChargerView>>,
    link: Link,
    failures: u32,
    sent: Option<Instant>,
}

impl Shell {
    async fn run(mut self, mut commands: mpsc::Receiver<AtCharger>, mut switch: watch::Receiver<bool>) {
        self.device.tick(now_ms());
        self.perform().await;
        loop {
            let now = now_ms();
            let nap = until(self.device.next_due_ms(now), now).min(SLEEP_MAX);
            tokio::select! {
                happened = self.link.next() => self.happened(happened),
                () = tokio::time::sleep(nap) => self.device.tick(now_ms()),
                Some(what) = commands.recv() => self.device.at_charger(what, now_ms()),
                _ = switch.changed() => break,
            }
            self.perform().await;
        }
        if let Link::Up(socket) = &mut self.link {
            let _ = tokio::time::timeout(Duration::from_secs(1), SinkExt::close(&mut **socket)).await;
            self.around.stats.connected.fetch_sub(1, Ordering::Relaxed);
        }
        self.finish();
    }

    fn finish(&self) {
        let state = self.device.state();
        let running = state.connectors.iter().filter_map(|c| c.running.as_ref().map(|r| r.local)).collect();
        let charger = self.device.spec().identity.clone();
        self.around.history.write(ChargerRecord::Final { charger, running, queued: state.queue.len() });
    }

    fn happened(&mut self, happened: Happened) {
        let now = now_ms();
        match happened {
            Happened::DialNow => {
                if self.device.connects_from_ms() > now {
                    self.link = Link::Down { until_ms: self.device.connects_from_ms() };
                } else {
                    self.link = Link::Connecting(Box::pin(dial(self.profile.clone(), self.device.spec().clone())));
                }
            }
            Happened::Connected(Ok(socket)) => {
                self.failures = 0;
                count(&self.around.stats.connected);
                count(&self.around.stats.connections);
                self.link = Link::Up(socket);
                self.device.connected(now);
            }
            Happened::Connected(Err(why)) => {
                tracing::debug!(charger = self.device.spec().identity, why, "connecting failed");
                count(&self.around.stats.connect_failures);
                self.link = Link::Down { until_ms: now + self.back_off() };
            }
            Happened::Frame(Some(Ok(Message::Text(text)))) => self.device.frame(text.as_str(), now),
            Happened::Frame(Some(Ok(Message::Close(_)))) => self.lost("closed by the server"),
            Happened::Frame(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
            } // tungstenite answers pings
            Happened::Frame(Some(Err(error))) => self.lost(&error.to_string()),
            Happened::Frame(None) => self.lost("end of stream"),
        }
    }

    /// Full jitter: between the least wait and the doubled one, up to the longest.
    fn back_off(&mut self) -> i64 {
        let (least, most) = (millis(self.profile.reconnect.0), millis(self.profile.reconnect.1));
        self.failures = (self.failures + 1).min(16);
        let highest = least.saturating_mul(1 << self.failures).min(most).max(least);
        self.device.rng.random_range(least..=highest)
    }

    fn lost(&mut self, why: &str) {
        if matches!(self.link, Link::Up(_)) {
            self.around.stats.connected.fetch_sub(1, Ordering::Relaxed);
        }
        if self.device.is_whole() {
            self.around.stats.whole.fetch_sub(1, Ordering::Relaxed);
        }
        let now = now_ms();
        // Who waits already has lost no socket, so nothing has failed: the wait is not drawn anew.
        if !matches!(self.link, Link::Down { .. }) {
            let wait = self.back_off();
            self.link = Link::Down { until_ms: self.device.connects_from_ms().max(now + wait) };
        }
        self.sent = None;
        self.device.disconnected(why, now);
    }

    /// Carries out what the device wants, in order.
    async fn perform(&mut self) {
        loop {
            let out = self.device.take_out();
            if out.is_empty() {
                break;
            }
            for one in out {
                self.perform_one(one).await;
            }
        }
        self.show();
    }

    async fn perform_one(&mut self, one: Out) {
        let stats = self.around.stats.clone();
        match one {
            Out::Save => self.save().await,
            Out::Frame { text, call } => self.write(text, call).await,
            Out::Answered(measure) => {
                count(&stats.calls_answered);
                if measure == Measure::StopTransaction {
                    stats.stop_confirmed.send_replace(self.device.spec().identity.clone());
                }
                if let Some(sent) = self.sent.take() {
                    let storming = measure == Measure::Meter && stats.storming.load(Ordering::Relaxed);
                    stats.record(if storming { Measure::MeterInStorm } else { measure }, sent.elapsed());
                }
            }
            Out::Refused => count(&stats.call_errors),
            Out::TimedOut => count(&stats.calls_timed_out),
            Out::Record(record) => {
                match &record {
                    ChargerRecord::Fact { kind: FactKind::Start, .. } => count(&stats.begun),
                    ChargerRecord::Fact { kind: FactKind::Stop, .. } => count(&stats.ended),
                    _ => {}
                }
                self.around.history.write(record);
            }
            Out::Booted => count(&stats.booted),
            Out::Whole => {
                count(&stats.whole);
                count(&stats.made_whole);
            }
            Out::Cut => self.lost("cut by the script"),
        }
    }

    async fn save(&mut self) {
        if let Some(store) = &self.around.store {
            let spec = self.device.spec();
            if let Err(error) = store.save(&spec.identity, self.device.state().clone()).await {
                tracing::error!(%error, charger = spec.identity, "the charger's state is not saved");
            }
        }
    }

    async fn write(&mut self, text: String, call: bool) {
        let Link::Up(socket) = &mut self.link else { return };
        if call {
            self.sent = Some(Instant::now());
        }
        match tokio::time::timeout(WRITE_MAX, socket.send(Message::text(text))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => self.lost("the server does not read"),
        }
    }

    fn show(&self) {
        let state = self.device.state();
        let max_w = self.device.spec().max_power_w;
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.online = matches!(self.link, Link::Up(_));
        view.queued = state.queue.len();
        view.connectors.clear();
        view.connectors.extend(state.connectors.iter().map(|c| ConnectorView {
            status: c.status(),
            transaction_id: c.running.as_ref().and_then(|r| state.transaction_ids.get(&r.local).copied()),
            energy_wh: c.running.as_ref().map_or(0, |r| c.power.reading_wh() - r.meter_start_wh),
            power_w: c.power.power_w(max_w),
            local: c.running.as_ref().map(|r| r.local),
        }));
    }
}

pub(crate) async fn dial(profile: Arc<Profile>, spec: ChargerSpec) -> Result<Socket, String> {
    let request = request(&profile.ocpp_url, &spec)?;
    let host = request.uri().authority().map(ToString::to_string).ok_or("the URL has no host")?;
    let target: SocketAddr = match host.parse() {
        Ok(address) => address,
        Err(_) => tokio::net::lookup_host(&host)
            .await
            .map_err(|e| format!("{host}: {e}"))?
            .find(SocketAddr::is_ipv4)
            .ok_or("no address")?,
    };
    let stream = net::connect(target, profile.sources.as_ref()).await.map_err(|e| e.to_string())?;
    let config = WebSocketConfig::default()
        .read_buffer_size(1_024)
        .write_buffer_size(0)
        .max_message_size(Some(256 * 1_024))
        .max_frame_size(Some(256 * 1_024));
    let handshake = client_async_with_config(request, stream, Some(config));
    match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        Ok(Ok((socket, _))) => Ok(Box::new(socket)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the handshake timed out".to_owned()),
    }
}

fn request(ocpp_url: &str, spec: &ChargerSpec) -> Result<Request, String> {
    let mut request =
        format!("{ocpp_url}/{}", spec.identity).into_client_request().map_err(|e| format!("bad OCPP URL: {e}"))?;
    let headers = request.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("ocpp1.6"));
    if let Some(password) = &spec.password {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", spec.identity));
        let value = HeaderValue::from_str(&format!("Basic {pair}")).map_err(|e| e.to_string())?;
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}
