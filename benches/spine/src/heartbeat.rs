//! Heartbeat round trips at 200 connections: the server against responders that do nothing else, in rounds that alternate.

use crate::figure::{Limit, median, skip, tell};
use crate::host::{self, Host, Wishes};
use crate::process::Process;
use crate::wire::Wire;
use anyhow::Context;
use loadtest::net::Sources;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

const CONNECTIONS: usize = 200;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_000);
/// How long a responder may take to listen.
const LISTEN_MAX: Duration = Duration::from_secs(15);

struct Side {
    name: &'static str,
    process: Process,
    wires: Vec<Wire>,
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
}

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let host = Host::start(paths, "heartbeat", Wishes::default()).await?;
    host.register(0, CONNECTIONS, 1).await?;
    let ours = host.fleet(0, CONNECTIONS, sources).await?;
    let mut sides = vec![Side::new("chargeline", host.process()?, ours)];
    let mut responders = Vec::new();
    for (name, command) in commands(paths) {
        let begun = match command {
            Ok(command) => begin(command, sources).await,
            Err(why) => Err(why),
        };
        match begun {
            Ok((child, wires)) => {
                sides.push(Side::new(name, Process(child.id().context("it has ended")?), wires));
                responders.push(child);
            }
            Err(error) if name == "bare" => return Err(error),
            Err(error) => skip(&format!("heartbeat_{name}_200"), "calls/s", &format!("{error:#}")),
        }
    }
    // The first round warms up.
    for round in 0..=ROUNDS {
        for side in &mut sides {
            side.round(round > 0).await?;
        }
    }
    report(&sides);
    for mut child in responders {
        child.kill().await?;
    }
    host.end().await
}

fn report(sides: &[Side]) {
    let of = |side: &Side| (median(&side.per_s), median(&side.cpu_us));
    let ((ours, our_cpu), (bare, bare_cpu)) = (of(&sides[0]), of(&sides[1]));
    let ratios: Vec<f64> = sides[0].per_s.iter().zip(&sides[1].per_s).map(|(ours, bare)| ours / bare).collect();
    let against = format!("bare tokio-tungstenite responder: {bare:.0} calls/s; chargeline {ours:.0}");
    tell("heartbeat_ratio_200", median(&ratios), "ratio", Limit::Least(0.75), &against);
    let against = format!("the responder's {bare_cpu:.1} µs; processor time of the server alone, a call");
    tell("heartbeat_cpu_us", our_cpu, "us", Limit::None, &against);
    for side in &sides[2..] {
        let (theirs, cpu) = of(side);
        let against = format!("chargeline {ours:.0} calls/s at the same load; {cpu:.1} µs of processor a call");
        tell(&format!("heartbeat_{}_200", side.name), theirs, "calls/s", Limit::None, &against);
    }
}

impl Side {
    fn new(name: &'static str, process: Process, wires: Vec<Wire>) -> Side {
        Side { name, process, wires, per_s: Vec::new(), cpu_us: Vec::new() }
    }

    async fn round(&mut self, counts: bool) -> anyhow::Result<()> {
        let (begun, before) = (Instant::now(), self.process.cpu_s()?);
        let tasks: Vec<_> = std::mem::take(&mut self.wires)
            .into_iter()
            .map(|mut wire| {
                tokio::spawn(async move {
                    let mut calls = 0_u64;
                    while begun.elapsed() < ROUND {
                        wire.call("Heartbeat", "{}").await?;
                        calls += 1;
                    }
                    anyhow::Ok((wire, calls))
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            let (wire, made) = task.await?.with_context(|| self.name)?;
            self.wires.push(wire);
            calls += made;
        }
        if counts {
            self.per_s.push(calls as f64 / begun.elapsed().as_secs_f64());
            self.cpu_us.push((self.process.cpu_s()? - before) * 1e6 / calls as f64);
        }
        Ok(())
    }
}

/// The responders, the bare one first.
fn commands(paths: &crate::Paths) -> Vec<(&'static str, anyhow::Result<Command>)> {
    let given = |path: &Result<std::path::PathBuf, String>| path.clone().map_err(anyhow::Error::msg);
    let kit = given(&paths.kit).map(Command::new);
    let python = given(&paths.python).map(|program| {
        let mut command = Command::new(program);
        command.arg("benches/spine/peers/responder.py");
        command
    });
    let node = given(&paths.node_modules).map(|modules| {
        let mut command = Command::new("node");
        command.arg("benches/spine/peers/responder.cjs").env("NODE_PATH", modules);
        command
    });
    vec![("bare", bare_command()), ("ocpp_kit", kit), ("npm_ocpp_rpc", node), ("pypi_ocpp", python)]
}

/// Starts a responder and connects to it.
async fn begin(command: Command, sources: &Arc<Sources>) -> anyhow::Result<(Child, Vec<Wire>)> {
    let (child, at) = listen(command).await?;
    let mut wires = Vec::new();
    for n in 0..CONNECTIONS {
        let mut wire = Wire::connect(at, &host::identity(n), None, sources).await?;
        let boot = r#"{"chargePointVendor":"Bench","chargePointModel":"B-1"}"#;
        wire.call("BootNotification", boot).await?;
        wires.push(wire);
    }
    Ok((child, wires))
}

/// Starts a bare responder: what must be killed at the end, what is measured, and where it listens.
pub(crate) async fn bare() -> anyhow::Result<(Child, Process, SocketAddr)> {
    let (child, at) = listen(bare_command()?).await?;
    let process = Process(child.id().context("it has ended")?);
    Ok((child, process, at))
}

fn bare_command() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare");
    Ok(command)
}

/// Starts a responder and waits until it listens.
async fn listen(mut command: Command) -> anyhow::Result<(Child, SocketAddr)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let quiet = command.arg(at.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.kill_on_drop(true).spawn()?;
    let begun = Instant::now();
    while let Err(error) = std::net::TcpStream::connect(at) {
        if let Some(status) = child.try_wait()? {
            anyhow::bail!("it ended at once: {status}");
        }
        anyhow::ensure!(begun.elapsed() < LISTEN_MAX, "it does not listen: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((child, at))
}
