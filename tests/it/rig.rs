//! A server of the real binary with a site, a charger and a partner.

use crate::charger::Charger;
use loadtest::history::History;
use loadtest::operator::Operator;
use loadtest::partner::{Key, Outcome, PartnerClient, Session, StartCall, http_client};
use loadtest::server::{Ports, Server};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The charger.
pub(crate) const CHARGER: &str = "CP-it";
/// Its password.
pub(crate) const PASSWORD: &str = "it-password-0123456789";
/// The partner.
pub(crate) const PARTNER: &str = "partner-it";
/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_chargeline");
/// How long the server may take to be ready, on a machine that is busy compiling.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long the server may take to end: its own limits, and a busy machine.
const END_MAX: Duration = Duration::from_secs(15);

/// The keys that differ from the defaults: ports, places, loopback webhooks, and waits short enough for a test. `[charger]`
/// comes last, so that tests can add to it.
fn settings(ports: Ports, directory: &Path) -> String {
    let (Ports { ocpp, partner, operator, metrics }, directory) = (ports, directory.display());
    format!(
        r#"[gateway]
listen = "127.0.0.1:{ocpp}"

[api]
partner_listen = "127.0.0.1:{partner}"
operator_listen = "127.0.0.1:{operator}"
operator_token_file = "{directory}/operator.token"

[journal]
path = "{directory}/journal"
key_file = "{directory}/journal.key"
reserve_bytes = 1048576
full_floor_bytes = 1048576

[message_log]
path = "{directory}/messages"

[tls]
authority_certificate_file = "{directory}/ca.pem"
authority_key_file = "{directory}/ca.key"

[telemetry]
metrics_listen = "127.0.0.1:{metrics}"

[webhook]
ports = []
allow_cidrs = ["127.0.0.0/8"]
allow_http = true

[charger]
first_call_delay = "0ms"
first_call_spread = "0ms"
answer_lead = "0ms"
configure = false
"#
    )
}

/// A server and what is around it.
pub(crate) struct Rig {
    pub(crate) server: Server,
    directory: tempfile::TempDir,
    partner: Option<PartnerClient>,
    tokens: Mutex<HashMap<String, String>>,
}

impl Rig {
    /// A configuration in a directory of its own; nothing runs.
    pub(crate) fn stopped() -> Rig {
        Rig::stopped_with(str::to_owned)
    }

    fn stopped_with(change: impl FnOnce(&str) -> String) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::new(Path::new(BINARY), directory.path()).unwrap();
        let place = directory.path().canonicalize().unwrap();
        let rig = Rig { server, directory, partner: None, tokens: Mutex::default() };
        let text = settings(rig.server.ports(), &place);
        std::fs::write(rig.server.config(), change(&text)).unwrap();
        rig
    }

    /// A ready server with charger and partner.
    pub(crate) async fn start() -> Rig {
        // Nobody listens there: the events wait.
        Rig::start_with("http://127.0.0.1:9/", str::to_owned).await
    }

    /// The same, with the partner's endpoint and with changes to the configuration.
    pub(crate) async fn start_with(webhook: &str, change: impl FnOnce(&str) -> String) -> Rig {
        let mut rig = Rig::stopped_with(change);
        rig.again().await;
        let operator = rig.operator();
        operator.put_site("site-it", "Site").await.unwrap();
        operator.put_charger(CHARGER, "site-it", 2, PASSWORD).await.unwrap();
        operator.put_partner(PARTNER, webhook).await.unwrap();
        rig.partner = Some(rig.client(operator.make_key(PARTNER).await.unwrap()));
        rig
    }

    /// Starts the server (again) and waits until it is ready. While it was away another test's client may have been given
    /// one of its ports for a moment: that alone is tried again.
    pub(crate) async fn again(&mut self) {
        let taken = |rig: &Rig| rig.log().matches("cannot listen on").count();
        for tries_left in (0..10).rev() {
            let before = taken(self);
            self.server.start().unwrap();
            let Err(error) = self.server.ready(READY_MAX).await else { return };
            assert!(tries_left > 0 && taken(self) > before, "{error}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    fn client(&self, key: Key) -> PartnerClient {
        let base = format!("http://127.0.0.1:{}/api/v1", self.server.ports().partner);
        PartnerClient::new(&base, key, History::off(), Arc::default(), Duration::from_secs(20)).unwrap()
    }

    /// The partner's client.
    pub(crate) fn partner(&self) -> &PartnerClient {
        self.partner.as_ref().unwrap()
    }

    /// From now on the partner asks once.
    pub(crate) fn ask_once(&mut self) {
        self.partner.as_mut().unwrap().set_patience(Duration::ZERO);
    }

    /// The operator's client.
    pub(crate) fn operator(&self) -> Operator {
        let base = format!("http://127.0.0.1:{}", self.server.ports().operator);
        Operator::new(&base, &self.server.token().unwrap()).unwrap()
    }

    /// A connected and booted charger.
    pub(crate) async fn charger(&self) -> Charger {
        let mut charger = self.connect().await;
        charger.boot(2).await;
        charger
    }

    /// A connected charger.
    pub(crate) async fn connect(&self) -> Charger {
        Charger::connect(self.server.ports().ocpp, CHARGER, PASSWORD).await.unwrap()
    }

    /// `POST /sessions`.
    pub(crate) async fn ask_start(&self, request_id: &str, connector_id: u16) -> Outcome {
        let (charger_id, user_id) = (CHARGER.to_owned(), "user-it".to_owned());
        let call = StartCall { request_id: request_id.to_owned(), charger_id, connector_id, user_id };
        self.partner().start(&call).await
    }

    /// The same, accepted; the session's id.
    pub(crate) async fn started(&self, request_id: &str, connector_id: u16) -> String {
        match self.ask_start(request_id, connector_id).await {
            Outcome::Accepted { session_id } => session_id,
            other => panic!("{other:?}\n{}", self.log()),
        }
    }

    /// The session, once `holds`.
    pub(crate) async fn session(&self, id: &str, what: &str, holds: impl Fn(&Session) -> bool) -> Session {
        let begun = Instant::now();
        loop {
            let session = self.partner().session(id).await.unwrap().unwrap();
            if holds(&session) {
                return session;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "never: {what}: {session:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// GET without signature; status and text.
    pub(crate) async fn get(&self, port: u16, path: &str) -> (u16, String) {
        let http = http_client(Duration::from_secs(10)).unwrap();
        let token = self.server.token().unwrap();
        let answer = http.get(format!("http://127.0.0.1:{port}{path}")).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// GET of the operator's, as JSON.
    pub(crate) async fn ops(&self, path: &str) -> Value {
        let (status, text) = self.get(self.server.ports().operator, path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Any call under that token: status and answer.
    pub(crate) async fn with_token(&self, token: &str, verb: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/ops/v1{path}", self.server.ports().operator);
        let http = http_client(Duration::from_secs(10)).unwrap();
        let call = http.request(verb.parse().unwrap(), url).bearer_auth(token);
        let answer = call.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Makes an operator with these roles, and a token.
    pub(crate) async fn enrol(&self, who: &str, roles: &[&str]) -> String {
        let root = self.server.token().unwrap();
        let body = json!({"name": who, "roles": roles});
        let (status, answer) = self.with_token(&root, "PUT", &format!("/operators/{who}"), &body).await;
        assert!(status < 300, "{status} {answer}");
        let path = format!("/operators/{who}/tokens");
        let (status, made) = self.with_token(&root, "POST", &path, &json!({"label": "test"})).await;
        assert_eq!(status, 201, "{made}");
        let token = made["token"].as_str().unwrap().to_owned();
        self.tokens.lock().unwrap().insert(who.to_owned(), token.clone());
        token
    }

    /// The token of an operator, who is an administrator unless there is one of that name.
    async fn token_of(&self, who: &str) -> String {
        let known = self.tokens.lock().unwrap().get(who).cloned();
        match known {
            Some(token) => token,
            None => self.enrol(who, &["administrator"]).await,
        }
    }

    /// The file with the token of an operator, for the command line.
    pub(crate) async fn token_file(&self, who: &str) -> PathBuf {
        let (token, file) = (self.token_of(who).await, self.path(&format!("{who}.token")));
        std::fs::write(&file, token).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    /// A call of that operator's that goes well.
    pub(crate) async fn order(&self, who: &str, verb: &str, path: &str, body: &Value) -> Value {
        let token = self.token_of(who).await;
        let (status, answer) = self.with_token(&token, verb, path, body).await;
        assert!((200..300).contains(&status), "{verb} {path}: {status} {answer}");
        answer
    }

    /// A call of that operator's that is refused: status and code.
    pub(crate) async fn refused(&self, who: &str, path: &str) -> (u16, String) {
        let token = self.token_of(who).await;
        let (status, answer) = self.with_token(&token, "POST", path, &json!({})).await;
        (status, answer["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Money for a user with an account, whose first top-up opened it, by two operators.
    pub(crate) async fn fund(&self, user: &str, minor: i64) {
        let amount = json!({"minor": minor, "currency": "CNY"});
        let top_up = json!({"request_id": format!("open-{user}"), "amount": {"minor": 1_000, "currency": "CNY"}});
        let (status, answer) = self.partner().post(&format!("/users/{user}/top-ups"), &top_up).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        let found = self.ops(&format!("/ops/v1/accounts?partner_id={PARTNER}&user_id={user}")).await;
        let account = found["items"][0]["account"].as_str().unwrap_or_else(|| panic!("{found}"));
        let base = format!("/accounts/{account}/adjustments");
        let proposed = self.order("ada", "POST", &base, &json!({"amount": amount, "reason": "test"})).await;
        let id = proposed["outcome"]["Proposed"]["proposal"].as_str().unwrap_or_else(|| panic!("{proposed}"));
        self.order("bob", "POST", &format!("{base}/{id}/approve"), &json!({})).await;
    }

    /// Sends a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.server.pid().unwrap().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// The status with which the server ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.server.ended(END_MAX).await.unwrap().unwrap_or_else(|| panic!("it does not end\n{}", self.log()))
    }

    /// SIGTERM; ends well.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the binary with this configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--config").arg(self.server.config()).current_dir(self.directory.path());
        command.output().unwrap()
    }

    /// Runs `chargeline admin`.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).arg("admin").args(arguments).current_dir(self.directory.path()).output().unwrap()
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }
}

/// Standard output and standard error.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
