//! Tests of the HTTP room over real sockets, against a runtime in memory. Owns the rig and a client that signs as
//! `docs/partner-api.md` says, written without the server's own code.

mod accounts;
mod applications;
mod credentials;
mod desk;
mod examples;
pub(crate) mod fake;
mod operator;
mod reads;
mod signing;
mod sockets;
mod tcec;
mod writes;

use super::operator::{OperatorApi, OperatorParts, OperatorToken};
use super::partner::{PartnerApi, PartnerParts, SecurityEvent};
use super::server::{serve_operator, serve_partner};
use crate::clock::{Clock, SharedClock, Timestamp};
use crate::config::api::Api;
use crate::config::live::LiveConfig;
use crate::domain::overload::Pressure;
use fake::{Keys, MemoryOnce, Runtime};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The documented defaults.
pub(crate) fn config() -> Api {
    crate::config::reference::defaults().unwrap().api
}

/// The moment at which tests begin.
const BEGIN: i64 = 1_767_322_995;

/// A clock that tests move.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(TestClock(AtomicI64::new(BEGIN * 1000)))
    }
    pub(crate) fn shared() -> SharedClock {
        Self::new()
    }
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(SeqCst))
    }
}

/// What outlives a restart of the server, and how to start it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) runtime: Arc<Runtime>,
    once: Arc<MemoryOnce>,
    keys: Arc<Keys>,
    clock: Arc<TestClock>,
    alerts: Arc<Mutex<Vec<SecurityEvent>>>,
    /// How late the server is, ms, and how full memory, percent.
    pub(crate) late: Arc<AtomicU64>,
    pub(crate) full: Arc<AtomicU64>,
    api: Api,
}

const SECRET: &str = "cs_a-secret-of-partner-one";
const SECRET_2: &str = "cs_a-secret-of-partner-two";

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    fn with(api: Api) -> Self {
        let keys = Arc::new(Keys::default());
        keys.put("ck_1", "p1", SECRET, false);
        keys.put("ck_2", "p2", SECRET_2, false);
        let (runtime, clock) = (Runtime::new(), TestClock::new());
        World {
            runtime,
            once: Arc::default(),
            keys,
            clock,
            alerts: Arc::default(),
            late: Arc::default(),
            full: Arc::default(),
            api,
        }
    }

    /// Starts the servers on free ports.
    pub(crate) async fn serve(&self) -> Rig {
        let mut whole = crate::config::reference::defaults().unwrap();
        whole.api = self.api.clone();
        let (live, _) = LiveConfig::start(whole, vec![], Timestamp(0)).unwrap();
        let live = Arc::new(live);
        let (alerts, late, full) = (self.alerts.clone(), self.late.clone(), self.full.clone());
        let partner = PartnerApi::new(PartnerParts {
            port: self.runtime.clone(),
            keys: self.keys.clone(),
            once: self.once.clone(),
            clock: self.clock.clone(),
            config: live.clone(),
            digest_key: [3; 32],
            replay_horizon: Timestamp(self.clock.now().0 - 1000),
            alert: Arc::new(move |event| alerts.lock().unwrap().push(event)),
            load: Arc::new(move || Pressure {
                late: Duration::from_millis(late.load(SeqCst)),
                full: full.load(SeqCst) as f64 / 100.0,
            }),
        });
        let folder = tempfile::tempdir().unwrap();
        let token = OperatorToken::load_or_make(&folder.path().join("operator.key")).unwrap();
        let bearer = token.header();
        let operator = OperatorApi::new(OperatorParts {
            port: self.runtime.clone(),
            token,
            config: live.clone(),
            clock: self.clock.clone(),
        });
        let stop = CancellationToken::new();
        let (partner_socket, operator_socket) = (bind().await, bind().await);
        let (url, address) = url_of(&partner_socket);
        let (ops, _) = url_of(&operator_socket);
        let served =
            tokio::spawn(serve_partner(partner_socket, partner.clone(), live.clone(), usize::MAX, stop.clone()));
        tokio::spawn(serve_operator(operator_socket, operator, live, usize::MAX, stop.clone()));
        Rig { url, ops, address, bearer, stop, served, partner, folder, clock: self.clock.clone(), http: client() }
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn url_of(listener: &TcpListener) -> (String, SocketAddr) {
    let address = listener.local_addr().unwrap();
    (format!("http://{address}"), address)
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Running servers.
pub(crate) struct Rig {
    url: String,
    pub(crate) ops: String,
    address: SocketAddr,
    bearer: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    partner: PartnerApi,
    pub(crate) folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    http: reqwest::Client,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A call that is about to be signed, every part open to change.
#[derive(Clone)]
struct Call {
    key: String,
    secret: String,
    method: &'static str,
    target: String,
    body: Vec<u8>,
    timestamp: i64,
    nonce: String,
    headers: Vec<(String, String)>,
}

static NONCE: AtomicU64 = AtomicU64::new(0);

impl Call {
    /// The four headers, made by the document alone.
    fn sign(&self) -> [(&'static str, String); 4] {
        let digest = hex::encode(Sha256::digest(&self.body));
        let lines = ["v1", self.method, &self.target, &digest, &self.timestamp.to_string(), &self.nonce];
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(lines.join("\n").as_bytes());
        let signature = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
        [
            ("X-Chargeline-Key", self.key.clone()),
            ("X-Chargeline-Timestamp", self.timestamp.to_string()),
            ("X-Chargeline-Nonce", self.nonce.clone()),
            ("X-Chargeline-Signature", signature),
        ]
    }
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
    json: Value,
}

impl Answer {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, json }
    }

    fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    /// Status and code at once.
    fn told(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Rig {
    fn call(&self, method: &'static str, path: &str, body: impl AsRef<[u8]>) -> Call {
        Call {
            key: "ck_1".into(),
            secret: SECRET.into(),
            method,
            target: format!("/api/v1{path}"),
            body: body.as_ref().to_vec(),
            timestamp: self.clock.now().as_seconds(),
            nonce: format!("nonce-of-a-test-{}", NONCE.fetch_add(1, SeqCst)),
            headers: vec![],
        }
    }

    /// Sends `call` with the signature of `signed`.
    async fn send_signed(&self, call: &Call, signed: &Call) -> Answer {
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{}", self.url, call.target)).body(call.body.clone());
        for (name, value) in signed.sign() {
            request = request.header(name, value);
        }
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    async fn send(&self, call: &Call) -> Answer {
        self.send_signed(call, call).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&self.call("GET", path, "")).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&self.call("POST", path, body.to_string())).await
    }

    /// The same as another partner.
    async fn as_p2(&self, method: &'static str, path: &str, body: &str) -> Answer {
        let call = Call { key: "ck_2".into(), secret: SECRET_2.into(), ..self.call(method, path, body) };
        self.send(&call).await
    }

    /// A call of an operator.
    async fn ops(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ops_as(&self.bearer, None, method, path, body).await
    }

    /// A call of the operator with that header, who may say a name.
    async fn ops_as(&self, bearer: &str, named: Option<&str>, method: &str, path: &str, body: Value) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.ops));
        request = request.header("authorization", bearer);
        if let Some(named) = named {
            request = request.header("x-chargeline-operator", named);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        Answer::read(request.send().await.unwrap()).await
    }
}

/// A good start.
fn start_body(request_id: &str, connector: u16) -> Value {
    serde_json::json!({"request_id": request_id, "charger_id": "CP1", "connector_id": connector,
        "user": {"id": "u1", "phone": "13800138000"}})
}

fn reserve_body(request_id: &str, connector: u16) -> Value {
    serde_json::json!({"request_id": request_id, "charger_id": "CP1", "connector_id": connector, "user": {"id": "u1"}})
}
