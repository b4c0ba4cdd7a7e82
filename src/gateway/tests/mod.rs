//! The gateway over real loopback sockets, with fakes behind its ports. Here the harness; the cases are beside it.

mod arbiters;
mod calls;
mod frames;
mod handshake;
mod meters;
mod rest;
mod storm;
mod takeover;
mod tls;

use super::credentials::{Access, Pepper};
use super::link::LinkHandle;
use super::listener::{Gateway, GatewayHandle, Ports, REFUSALS_MAX, Room, TlsPort};
use super::ports::*;
use super::profile::{Denied, Standing};
use super::socket::SocketStart;
use crate::clock::{Timestamp, WallClock};
use crate::config::gateway::Gateway as Settings;
use crate::domain::charger::SecurityProfile;
use crate::domain::overload::Memory;
use crate::ids::ChargerId;
use crate::protocol::ocpp16::Request;
use arc_swap::ArcSwap;
use base64::Engine as _;
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use meters::Meters;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

pub(super) const PASSWORD: &[u8] = b"0123456789abcdef";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the fake ports saw, in order.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Attached(LinkHandle),
    Call { id: String, request: Box<Request>, repeat: crate::protocol::ocppj::Repeat },
    Answered(CallAnswer),
    Detached(Generation, CloseReason),
    Alternating,
}

/// What the fakes do.
pub(super) struct Script {
    pub(super) seen: Mutex<Vec<Seen>>,
    /// What the frame log was told, by charger.
    pub(super) frames: Mutex<HashMap<ChargerId, Vec<String>>>,
    /// A permit for every call that may be answered.
    pub(super) gate: Semaphore,
    pub(super) accepted: AtomicBool,
    pub(super) ready: AtomicBool,
    pub(super) late_ms: AtomicU64,
    /// How full memory is, and how large.
    pub(super) memory_percent: AtomicU64,
    pub(super) memory_max: AtomicU64,
    pub(super) outcome: Mutex<CallOutcome>,
    meters: Meters,
}

struct FakePort(Arc<Script>);

impl ChargerPort for FakePort {
    fn attached(&self, link: LinkHandle) {
        link.set_accepted(self.0.accepted.load(Ordering::Relaxed));
        self.0.saw(Seen::Attached(link));
    }

    fn call(&self, call: InboundCall) -> LocalBoxFuture<'static, CallOutcome> {
        let script = self.0.clone();
        Box::pin(async move {
            if call.id == "panic" {
                panic!("a fault in the port");
            }
            let request = Box::new(call.decoded.request);
            script.saw(Seen::Call { id: call.id, request, repeat: call.repeat });
            script.gate.acquire().await.unwrap().forget();
            script.outcome.lock().unwrap().clone()
        })
    }

    fn answered(&self, answer: CallAnswer) {
        self.0.saw(Seen::Answered(answer));
    }

    fn detached(&self, generation: Generation, reason: CloseReason) {
        self.0.saw(Seen::Detached(generation, reason));
    }

    fn alternating(&self, _: Generation) {
        self.0.saw(Seen::Alternating);
    }
}

impl Script {
    fn saw(&self, what: Seen) {
        self.seen.lock().unwrap().push(what);
    }

    /// Waits until something seen fits.
    pub(super) async fn wait<T>(&self, fits: impl Fn(&Seen) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = self.seen.lock().unwrap().iter().find_map(&fits) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("not seen; seen: {:?}", self.seen.lock().unwrap()),
        }
    }

    pub(super) async fn link(&self, generation: u64) -> LinkHandle {
        let fits = |seen: &Seen| match seen {
            Seen::Attached(link) if link.generation().0 == generation => Some(link.clone()),
            _ => None,
        };
        self.wait(fits).await
    }

    pub(super) async fn detached(&self, generation: u64) -> CloseReason {
        let fits = |seen: &Seen| match seen {
            Seen::Detached(g, reason) if g.0 == generation => Some(*reason),
            _ => None,
        };
        self.wait(fits).await
    }

    pub(super) fn calls(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter_map(|s| if let Seen::Call { id, .. } = s { Some(id.clone()) } else { None }).collect()
    }
}

struct FakeRegister(HashMap<ChargerId, Standing>, Denials);

/// Of whom operators would be told.
pub(super) type Denials = Arc<Mutex<Vec<(ChargerId, Denied)>>>;

impl ChargerRegister for FakeRegister {
    fn standing(&self, id: &ChargerId) -> Option<Standing> {
        self.0.get(id).cloned()
    }

    fn denied(&self, id: &ChargerId, _: IpAddr, why: Denied) {
        self.1.lock().unwrap().push((id.clone(), why));
    }
}

impl FrameLog for Script {
    fn keep(&self, charger: &ChargerId, _: Timestamp, seen: Passed<'_>) {
        let line = match seen {
            Passed::In(text) => format!("> {text}"),
            Passed::Out(text) => format!("< {text}"),
            Passed::Heartbeats(count, _) => format!("{count} heartbeats"),
            Passed::Connected(_) => "connected".to_owned(),
            Passed::Closed(reason) => format!("closed: {}", reason.label()),
        };
        self.frames.lock().unwrap().entry(charger.clone()).or_default().push(line);
    }
}

/// Runs sockets on a thread of its own, like an arbiter.
struct FakePlacement {
    starts: mpsc::Sender<SocketStart>,
    script: Arc<Script>,
}

impl Placement for FakePlacement {
    fn place(&self, start: SocketStart) -> Result<(), SocketStart> {
        if !self.script.ready.load(Ordering::Relaxed) {
            return Err(start);
        }
        self.starts.try_send(start).map_err(|e| match e {
            mpsc::error::TrySendError::Full(start) | mpsc::error::TrySendError::Closed(start) => start,
        })
    }

    fn is_open(&self) -> bool {
        self.script.ready.load(Ordering::Relaxed)
    }

    fn late(&self) -> Duration {
        Duration::from_millis(self.script.late_ms.load(Ordering::Relaxed))
    }
}

fn arbiter(mut starts: mpsc::Receiver<SocketStart>, script: Arc<Script>) {
    let meters = script.meters.clone();
    std::thread::spawn(move || {
        meters.join();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            while let Some(start) = starts.recv().await {
                tokio::task::spawn_local(start.run(Rc::new(FakePort(script.clone()))));
            }
        });
    });
}

/// A running gateway.
pub(super) struct Rig {
    pub(super) handle: GatewayHandle,
    pub(super) script: Arc<Script>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) denials: Denials,
    pub(super) meters: Meters,
}

pub(super) fn defaults() -> Settings {
    let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
    all["gateway"].clone().try_into().unwrap()
}

const ROOM: Room = Room { connections: usize::MAX, refusals: REFUSALS_MAX };

/// Chargers `CP-0` to `CP-2999` with [`PASSWORD`], `OPEN` without, `TLS` of profile 2, `CERT` of profile 3.
pub(super) fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    rig_on(change, None, ROOM, fake_placement)
}

/// The same where the system has room for so many.
pub(super) fn rig_within(room: Room) -> Rig {
    rig_on(|_| {}, None, room, fake_placement)
}

fn fake_placement(script: Arc<Script>) -> Arc<dyn Placement> {
    let (starts, receiver) = mpsc::channel(10_000);
    arbiter(receiver, script.clone());
    Arc::new(FakePlacement { starts, script })
}

/// The same with a placement of its own.
fn rig_on(
    change: impl FnOnce(&mut Settings),
    tls_port: Option<TlsPort>,
    room: Room,
    placement: impl FnOnce(Arc<Script>) -> Arc<dyn Placement>,
) -> Rig {
    let meters = Meters::begin();
    let mut settings = defaults();
    settings.listen = "127.0.0.1:0".parse().unwrap();
    settings.handshakes_per_second = 100_000;
    settings.close_timeout = Duration::from_millis(300);
    change(&mut settings);
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let pepper = Arc::new(Pepper::new([3; 32]));
    let password = |id: &ChargerId| Access::Password(SmallVec::from_iter([pepper.tag(id, PASSWORD)]));
    let standing = |access, least| Standing { access, least, certificate: least == SecurityProfile::Mutual };
    let mut known: HashMap<ChargerId, Standing> = (0..3000)
        .map(|n| format!("CP-{n}").parse::<ChargerId>().unwrap())
        .map(|id| (id.clone(), standing(password(&id), SecurityProfile::Basic)))
        .collect();
    known.insert("OPEN".parse().unwrap(), standing(Access::Open, SecurityProfile::Open));
    let tls: ChargerId = "TLS".parse().unwrap();
    known.insert(tls.clone(), standing(password(&tls), SecurityProfile::Tls));
    known.insert("CERT".parse().unwrap(), standing(Access::Certificate, SecurityProfile::Mutual));
    let script = Arc::new(Script {
        seen: Mutex::default(),
        frames: Mutex::default(),
        gate: Semaphore::new(1_000_000),
        accepted: AtomicBool::new(true),
        ready: AtomicBool::new(true),
        late_ms: AtomicU64::new(0),
        memory_percent: AtomicU64::new(0),
        memory_max: AtomicU64::new(u64::MAX),
        outcome: Mutex::new(CallOutcome::Result("{}".into())),
        meters: meters.clone(),
    });
    let (denials, told) = (Denials::default(), script.clone());
    let ports = Ports {
        register: Arc::new(FakeRegister(known, denials.clone())),
        placement: placement(script.clone()),
        frames: script.clone(),
        clock: Arc::new(WallClock),
        pepper,
        memory: Arc::new(move || Memory {
            full: told.memory_percent.load(Ordering::Relaxed) as f64 / 100.0,
            max: told.memory_max.load(Ordering::Relaxed),
        }),
    };
    let mut gateway = Gateway::bind(settings.clone(), ports, room).unwrap();
    if let Some(port) = tls_port {
        gateway = gateway.with_tls(port).unwrap();
    }
    let handle = gateway.handle().unwrap();
    tokio::spawn(gateway.run());
    Rig { handle, script, settings, denials, meters }
}

pub(super) fn basic(user: &str, password: &[u8]) -> String {
    let pair = [user.as_bytes(), b":", password].concat();
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// An upgrade request by hand.
pub(super) fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n{more}\r\n"
    )
}

/// A connection from one of the loopback addresses.
pub(super) async fn dial(to: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::from(from), 0)).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends and reads all that comes back until the end.
pub(super) async fn exchange(to: SocketAddr, from: [u8; 4], request: &[u8]) -> Vec<u8> {
    let mut stream = dial(to, from).await;
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

pub(super) fn status(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).lines().next().unwrap_or_default().to_owned()
}

/// A charger that is connected.
pub(super) struct Client(pub(super) WebSocketStream<TcpStream>);

/// The bytes up to the end of a response's head.
pub(super) async fn response_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap() {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

impl Rig {
    pub(super) fn addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// Waits until nobody is there any more: all permits have come back.
    pub(super) async fn empties(&self) {
        let empty = async {
            while self.handle.present() != (0, 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, empty).await.expect("permits come back");
    }

    /// Connects as a charger, without a WebSocket library: the raw stream after the upgrade.
    pub(super) async fn raw(&self, id: &str) -> TcpStream {
        let mut stream = dial(self.addr(), [127, 0, 0, 1]).await;
        let request = upgrade(&format!("/ocpp/{id}"), &basic(id, PASSWORD));
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = response_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    }

    /// Connects as a charger.
    pub(super) async fn charger(&self, id: &str) -> Client {
        let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
        Client(WebSocketStream::from_raw_socket(self.raw(id).await, role, None).await)
    }
}

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text, or the close code.
    pub(super) async fn next(&mut self) -> Result<String, Option<u16>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something must come") {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| u16::from(frame.code))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub(super) async fn ask(&mut self, text: &str) -> String {
        self.send(text).await;
        self.next().await.unwrap()
    }
}

/// The close code in raw bytes of a socket, reading until the end.
pub(super) async fn close_code(mut stream: TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    // A reset after the close frame is fine.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the socket must end");
    let at = bytes.iter().position(|b| *b == 0x88)?;
    Some(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]))
}

/// A masked frame with a mask of zeros, which changes nothing.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=65_535 => {
            out.push(0x80 | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}
