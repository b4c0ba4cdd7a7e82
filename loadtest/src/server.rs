//! The real server as a child process: its configuration, its start, its readiness, its sudden death.
//!
//! Owns that one process and its directory. Never touches another process: it kills by the handle that it holds.

use crate::fleet::Endpoints;
use crate::operator::Operator;
use crate::report::Watched;
use anyhow::{Context, bail};
use rand::RngExt;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// Between two looks at `/readyz`.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports that are asked for: below those that systems give to outgoing connections (from 32768 on Linux).
const PORTS: std::ops::Range<u16> = 12_000..32_000;
/// How many are tried.
const PORT_TRIES: usize = 1_000;

/// Ports of one server, each free when it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Chargers.
    pub ocpp: u16,
    /// Partners.
    pub partner: u16,
    /// Operators.
    pub operator: u16,
    /// Metrics.
    pub metrics: u16,
}

impl Ports {
    /// Four free loopback ports, none of which the system gives to outgoing connections: while the server is down nobody is
    /// handed one of them.
    ///
    /// # Errors
    /// When none is found.
    pub fn free() -> anyhow::Result<Self> {
        let mut rng = rand::rng();
        let tried = (0..PORT_TRIES).map(|_| rng.random_range(PORTS));
        let held: Vec<TcpListener> =
            tried.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(4).collect();
        let port = |i: usize| {
            held.get(i).context("no free port was found")?.local_addr().map(|a| a.port()).map_err(Into::into)
        };
        let ports: Vec<u16> = (0..4).map(port).collect::<anyhow::Result<_>>()?;
        Ok(Ports { ocpp: ports[0], partner: ports[1], operator: ports[2], metrics: ports[3] })
    }
}

/// The configuration of a server under test: everything in `dir`, loopback only, webhooks to loopback over plain HTTP
/// allowed. All callers share a few addresses and one key, so the limits meant for strangers are raised; times that a
/// run has to wait out are short. The one place that knows the server's configuration keys.
pub fn config_text(ports: Ports, dir: &Path) -> String {
    let dir = dir.display();
    let Ports { ocpp, partner, operator, metrics } = ports;
    format!(
        r#"[gateway]
listen = "127.0.0.1:{ocpp}"
handshakes_per_address = 512
auth_failures_per_address = 100000
auth_failures_total = 1000000

[api]
partner_listen = "127.0.0.1:{partner}"
operator_listen = "127.0.0.1:{operator}"
operator_token_file = "{dir}/operator.token"
connections_per_address = 4096
in_flight_per_partner = 10000
read_rate = 100000
read_burst = 100000
write_rate = 100000
write_burst = 100000
events_rate = 100000
events_burst = 100000

[charger]
offline_after = "20s"
first_call_delay = "1s"
first_call_spread = "1s"
# Meter values every second, as the simulated chargers send them of their own.
configure = false
flapping_count = 16
flapping_window = "1h"

[journal]
path = "{dir}/journal"
key_file = "{dir}/journal.key"
reserve_bytes = 8388608
full_floor_bytes = 16777216

[message_log]
path = "{dir}/messages"

[session]
stop_retry = "5s"
stop_pending_retry = "1m"

[telemetry]
metrics_listen = "127.0.0.1:{metrics}"

[webhook]
schedule = ["1s", "1s", "2s", "2s", "5s", "5s", "10s", "10s", "10s", "30s", "30s", "30s"]
ports = []
allow_cidrs = ["127.0.0.0/8"]
allow_http = true
"#
    )
}

/// A server process that this one started.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    dir: PathBuf,
    data: PathBuf,
    ports: Ports,
    child: Option<Child>,
    variables: BTreeMap<String, String>,
    /// What a shell does before it becomes the server.
    before: Vec<String>,
}

impl Server {
    /// Writes the configuration into `dir`; nothing runs yet.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn new(binary: &Path, dir: &Path) -> anyhow::Result<Self> {
        Self::keeping(binary, dir, dir)
    }

    /// As [`Server::new`], but what it keeps (journal, key, frames, operator's token) lies in `data`: on a disk of its own,
    /// say. Neither its configuration nor its output does.
    ///
    /// # Errors
    /// When a directory cannot be written.
    pub fn keeping(binary: &Path, dir: &Path, data: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        std::fs::create_dir_all(data)?;
        let (dir, data) = (dir.canonicalize()?, data.canonicalize()?);
        let ports = Ports::free()?;
        std::fs::write(dir.join("config.toml"), config_text(ports, &data))?;
        Ok(Server {
            binary: binary.to_owned(),
            dir,
            data,
            ports,
            child: None,
            variables: BTreeMap::new(),
            before: Vec::new(),
        })
    }

    /// Sets a variable of its environment from the next start on.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Lets it have no more than so many files and sockets from the next start on.
    pub fn limit_descriptors(&mut self, most: u32) {
        self.before.push(format!("ulimit -n {most}"));
    }

    /// Runs it in this control group from the next start on.
    pub fn within(&mut self, group: &Path) {
        self.before.push(format!("echo $$ > '{}/cgroup.procs'", group.display()));
    }

    /// Adds keys to a section that is there already.
    ///
    /// # Errors
    /// When there is no such section or the configuration cannot be written.
    pub fn tune(&self, section: &str, keys: &str) -> anyhow::Result<()> {
        let (text, head) = (std::fs::read_to_string(self.config())?, format!("\n[{section}]\n"));
        if !text.contains(&head) {
            bail!("the configuration has no section [{section}]");
        }
        Ok(std::fs::write(self.config(), text.replacen(&head, &format!("{head}{keys}"), 1))?)
    }

    /// Where its output goes.
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// The process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Waits until it has ended by itself; SIGKILL and `None` after `limit`.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let Some(mut child) = self.child.take() else { return Ok(None) };
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(status) => Ok(Some(status?)),
            Err(_) => {
                child.kill().await?;
                Ok(None)
            }
        }
    }

    /// Gives chargers the times that the product ships with, instead of the short ones of a test.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn settle_as_shipped(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.config())?;
        let text = text.replace("offline_after = \"20s\"\nfirst_call_delay = \"1s\"\nfirst_call_spread = \"1s\"\n", "");
        Ok(std::fs::write(self.config(), text)?)
    }

    /// Adds to its configuration; of a section that is there already `session` alone, whose keys come first.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub fn configure(&self, session: &str, sections: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.config())?.replace("[session]\n", &format!("[session]\n{session}"));
        Ok(std::fs::write(self.config(), text + sections)?)
    }

    /// Makes what is kept for days stay only for `retention`, and what stays in memory for minutes only for one, so that a
    /// run of an hour sees what a month would: what comes and goes, and what stays. Gives back how many bytes the message
    /// log may have.
    ///
    /// # Errors
    /// When the configuration cannot be read or written.
    pub fn keep_for(&self, retention: Duration) -> anyhow::Result<u64> {
        let ms = retention.as_millis();
        let mut config: toml::Table = std::fs::read_to_string(self.config())?.parse()?;
        let frames: u64 = 64 << 20;
        let bad_hours = ["1s", "2s", "5s", "10s"].into_iter().chain(std::iter::repeat_n("30s", 16));
        for (section, key, value) in [
            ("journal", "retention", format!("{ms}ms").into()),
            ("journal", "outbox_retention", format!("{ms}ms").into()),
            ("journal", "cache_bytes", (32_i64 << 20).into()),
            ("message_log", "max_bytes", toml::Value::Integer(64 << 20)),
            ("session", "linger", "1m".into()),
            ("order", "linger", "1m".into()),
            ("session", "progress_every", "10s".into()),
            ("session", "sample_interval", "10s".into()),
            ("webhook", "schedule", toml::Value::Array(bad_hours.map(Into::into).collect())),
        ] {
            let table = config.entry(section).or_insert_with(|| toml::Table::new().into());
            table.as_table_mut().with_context(|| section.to_owned())?.insert(key.to_owned(), value);
        }
        std::fs::write(self.config(), config.to_string())?;
        Ok(frames)
    }

    /// What of it a report looks at.
    pub fn watched(&self) -> Watched {
        let directories = ["journal", "messages"].map(|name| (name.to_owned(), self.dir.join(name)));
        let metrics_url = Some(format!("http://127.0.0.1:{}/metrics", self.ports.metrics));
        Watched { metrics_url, pid: self.pid(), directories: directories.to_vec() }
    }

    /// Where it is reached.
    ///
    /// # Errors
    /// When it has made no operator's token yet.
    pub fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let ports = self.ports;
        Ok(Endpoints {
            ocpp: format!("ws://127.0.0.1:{}/ocpp", ports.ocpp),
            partner: format!("http://127.0.0.1:{}/api/v1", ports.partner),
            operator: format!("http://127.0.0.1:{}", ports.operator),
            operator_token: self.token()?,
        })
    }

    /// The most memory that its process has held, as the kernel says it.
    pub fn peak_memory(&self) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|rest| rest.trim().to_owned())
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    fn program(&self) -> Command {
        if self.before.is_empty() {
            return Command::new(&self.binary);
        }
        // The shell becomes the server: it is the same process.
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!(r#"{} && exec "$0" "$@""#, self.before.join(" && "))).arg(&self.binary);
        shell
    }

    /// Starts it; its output goes to `server.log` in its directory.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = self
            .program()
            .arg("serve")
            .arg("--config")
            .arg(self.dir.join("config.toml"))
            .current_dir(&self.dir)
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `/readyz` says 200; gives back how long that took.
    ///
    /// # Errors
    /// When it exits or `limit` passes.
    pub async fn ready(&mut self, limit: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let probe = Operator::new(&format!("http://127.0.0.1:{}", self.ports.operator), "")?;
        while begun.elapsed() < limit {
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("the server exited with {status}; see {}", self.dir.join("server.log").display());
            }
            if probe.is_ready().await {
                return Ok(begun.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("the server was not ready within {limit:?}; see {}", self.dir.join("server.log").display())
    }

    /// The operator's token, which the server made at its first start.
    ///
    /// # Errors
    /// When there is none.
    pub fn token(&self) -> anyhow::Result<String> {
        let path = self.data.join("operator.token");
        Ok(std::fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().to_owned())
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// SIGSTOP: none of its threads goes on. It can only be killed then.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        let pid = self.child.as_ref().and_then(tokio::process::Child::id).context("it does not run")?;
        let stopped = Command::new("kill").arg("-STOP").arg(pid.to_string()).status().await?;
        anyhow::ensure!(stopped.success(), "it cannot be stopped: {stopped}");
        Ok(())
    }

    /// SIGTERM, as an operator would; SIGKILL after `limit`. `true` when it ended by itself with success.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub async fn stop(&mut self, limit: Duration) -> anyhow::Result<bool> {
        let Some(mut child) = self.child.take() else { return Ok(false) };
        let Some(pid) = child.id() else { return Ok(false) };
        let asked = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await?;
        match tokio::time::timeout(limit, child.wait()).await {
            Ok(status) => Ok(asked.success() && status?.success()),
            Err(_) => {
                child.kill().await?;
                Ok(false)
            }
        }
    }

    /// `chargeline journal verify` on its directory while it does not run: whether it was content, and its last line.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub async fn journal_verify(&self) -> anyhow::Result<(bool, String)> {
        self.tool(&["journal", "verify"]).await
    }

    /// The same of `chargeline ledger verify`.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub async fn ledger_verify(&self) -> anyhow::Result<(bool, String)> {
        self.tool(&["ledger", "verify"]).await
    }

    async fn tool(&self, args: &[&str]) -> anyhow::Result<(bool, String)> {
        let config = self.dir.join("config.toml");
        let mut command = Command::new(&self.binary);
        let output = command.args(args).arg("--config").arg(config).current_dir(&self.dir).output().await?;
        let both = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        let last = both.iter().flat_map(|t| t.lines()).rfind(|l| !l.trim().is_empty()).unwrap_or("no output");
        Ok((output.status.success(), last.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn script(text: &str) -> (PathBuf, PathBuf) {
        let dir = std::env::temp_dir().join(format!("server-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let binary = dir.join("fake");
        std::fs::write(&binary, text).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, binary)
    }

    #[test]
    fn the_configuration_is_toml_with_the_ports_in_it() {
        let ports = Ports::free().unwrap();
        let text = config_text(ports, Path::new("/tmp/x"));
        assert!(text.contains(&format!("listen = \"127.0.0.1:{}\"", ports.ocpp)));
        assert!(text.contains("/tmp/x/journal"));
    }

    #[test]
    fn a_soak_keeps_things_for_less_long() {
        let dir = std::env::temp_dir().join(format!("server-{}", uuid::Uuid::new_v4()));
        let server = Server::new(Path::new("x"), &dir).unwrap();
        assert_eq!(server.keep_for(Duration::from_secs(90)).unwrap(), 64 << 20);
        let config: toml::Table = std::fs::read_to_string(server.config()).unwrap().parse().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(config["journal"]["retention"].as_str(), Some("90000ms"));
        assert_eq!(config["order"]["linger"].as_str(), Some("1m"));
        assert_eq!(config["webhook"]["schedule"].as_array().unwrap().len(), 20);
    }

    #[tokio::test]
    async fn a_server_that_exits_is_not_waited_for() {
        let (dir, binary) = script("#!/bin/sh\necho broken\nexit 3\n");
        let mut server = Server::new(&binary, &dir).unwrap();
        server.start().unwrap();
        let error = server.ready(Duration::from_secs(20)).await.unwrap_err().to_string();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn a_killed_server_is_gone_and_the_journal_tool_is_heard() {
        let text = "#!/bin/sh\nif [ $1 = journal ]; then echo verified 5 records; exit 0; fi\nexec sleep 60\n";
        let (dir, binary) = script(text);
        let mut server = Server::new(&binary, &dir).unwrap();
        server.start().unwrap();
        let pid = server.child.as_ref().unwrap().id().unwrap();
        server.kill().await.unwrap();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(server.journal_verify().await.unwrap(), (true, "verified 5 records".to_owned()));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
