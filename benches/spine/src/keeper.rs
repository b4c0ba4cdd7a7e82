//! Chargers held by a process of their own, so that more connections can be open than one process may have, and so that
//! rounds of several servers can alternate. Owns the talk between the measuring process and a keeper: a line a round.

use crate::host;
use crate::wire::Wire;
use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::net::Sources;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;

/// Handshakes and boots on the way at once.
const AT_ONCE: usize = 64;
/// How long a keeper may take over one thing, all its boots included.
const ANSWER_MAX: Duration = Duration::from_secs(180);

/// Heartbeats a second of a paced round, of all chargers of the keeper together.
pub(crate) const PACE: u32 = 5_000;
/// How often each charger speaks in a round of [`Kind::Steady`]: 15,000 of them make [`PACE`].
const EVERY: Duration = Duration::from_secs(3);
/// Durable calls under way at once: as many as the fewest chargers can have, so that commits of the same size are compared, and
/// below what is shed.
const DURABLE_AT_ONCE: usize = 100;

/// What every charger sends for the time of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answered from memory, without a pause.
    Heartbeat,
    /// The same, so many a second ([`PACE`]) whatever the number of chargers, each answer acknowledged once it has been read
    /// ([`Wire::call_acknowledged`]).
    Paced,
    /// The same, acknowledged as the kernel sees fit.
    PacedOnly,
    /// The same, each charger once in [`EVERY`]: the more there are, the more load.
    Steady,
    /// Without a pause a new status each time: durable before it is answered.
    Status,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Heartbeat => "heartbeat",
            Kind::Paced => "paced",
            Kind::PacedOnly => "paced_only",
            Kind::Steady => "steady",
            Kind::Status => "status",
        }
    }
}

/// Which server the chargers are to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// The product, which wants a password and the status of each connector.
    Product,
    /// The bare responder, which knows boots and heartbeats.
    Bare,
}

/// A keeper, as the measuring process sees it.
pub(crate) struct Keeper {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Keeper {
    /// Starts a keeper, connects `chargers` and boots them.
    pub(crate) async fn start(whom: Whom, at: SocketAddr, chargers: usize) -> anyhow::Result<Keeper> {
        let whom = if whom == Whom::Product { "product" } else { "bare" };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["keep", whom, &at.to_string(), &chargers.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let orders = child.stdin.take().context("no way to tell it")?;
        let answers = BufReader::new(child.stdout.take().context("no way to hear it")?).lines();
        let mut keeper = Keeper { _child: child, orders, answers };
        ensure!(keeper.answer().await? == "ready", "a keeper of {chargers} chargers is not ready");
        Ok(keeper)
    }

    /// One round; how many calls were answered, and in what time.
    pub(crate) async fn round(&mut self, kind: Kind, time: Duration) -> anyhow::Result<(u64, Duration)> {
        self.orders.write_all(format!("{} {}\n", kind.word(), time.as_millis()).as_bytes()).await?;
        let answer = self.answer().await?;
        let (calls, micros) = answer.split_once(' ').with_context(|| answer.clone())?;
        Ok((calls.parse()?, Duration::from_micros(micros.parse()?)))
    }

    async fn answer(&mut self) -> anyhow::Result<String> {
        let line = tokio::time::timeout(ANSWER_MAX, self.answers.next_line()).await.context("a keeper is silent")??;
        line.context("a keeper has ended; its reason is above")
    }
}

/// Is a keeper until its input ends.
pub(crate) async fn keep(whom: &str, at: &str, chargers: &str, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let (at, chargers): (SocketAddr, usize) = (at.parse()?, chargers.parse()?);
    let one = |n| async move {
        if whom == "product" {
            let mut wire = Wire::connect(at, &host::identity(n), Some(host::PASSWORD), sources).await?;
            wire.boot(1).await?;
            return anyhow::Ok(wire);
        }
        let mut wire = Wire::connect(at, &host::identity(n), None, sources).await?;
        wire.call("BootNotification", r#"{"chargePointVendor":"Bench","chargePointModel":"B-1"}"#).await?;
        Ok(wire)
    };
    let mut wires: Vec<Wire> = stream::iter((0..chargers).map(one)).buffered(AT_ONCE).try_collect().await?;
    println!("ready");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let (back, order) = serve_until(wires, orders.next_line()).await?;
        let Some(order) = order? else { return Ok(()) };
        let (kind, time) = order.split_once(' ').with_context(|| order.clone())?;
        let kind = match kind {
            "heartbeat" => Kind::Heartbeat,
            "paced" => Kind::Paced,
            "paced_only" => Kind::PacedOnly,
            "steady" => Kind::Steady,
            "status" => Kind::Status,
            other => bail!("no round of {other}"),
        };
        let (calls, took, all) = round(back, kind, Duration::from_millis(time.parse()?)).await?;
        wires = all;
        println!("{calls} {}", took.as_micros());
    }
}

/// Answers what the server asks, until `until` is there.
async fn serve_until<T>(wires: Vec<Wire>, until: impl Future<Output = T>) -> anyhow::Result<(Vec<Wire>, T)> {
    let (tell, told) = tokio::sync::watch::channel(());
    let served: Vec<_> = wires
        .into_iter()
        .map(|mut wire| {
            let mut told = told.clone();
            tokio::spawn(async move {
                wire.serve_until(async { drop(told.changed().await) }).await?;
                anyhow::Ok(wire)
            })
        })
        .collect();
    let got = until.await;
    drop(tell);
    let mut wires = Vec::with_capacity(served.len());
    for one in served {
        wires.push(one.await??);
    }
    Ok((wires, got))
}

async fn round(wires: Vec<Wire>, kind: Kind, time: Duration) -> anyhow::Result<(u64, Duration, Vec<Wire>)> {
    let begun = Instant::now();
    let chargers = u32::try_from(wires.len())?;
    let every = if kind == Kind::Steady { EVERY } else { Duration::from_secs(1) * chargers / PACE };
    let under_way = Arc::new(Semaphore::new(DURABLE_AT_ONCE));
    let tasks: Vec<_> = wires
        .into_iter()
        .zip(0_u32..)
        .map(|(mut wire, n)| {
            let under_way = Arc::clone(&under_way);
            tokio::spawn(async move {
                let mut calls = 0_u64;
                if matches!(kind, Kind::Paced | Kind::PacedOnly | Kind::Steady) {
                    let (due, end) = (begun + every * n / chargers, begun + time);
                    return paced(wire, kind, due, end, every).await;
                }
                // Each at least once, however long that takes all of them.
                while calls == 0 || begun.elapsed() < time {
                    if kind == Kind::Heartbeat {
                        wire.call("Heartbeat", "{}").await?;
                    } else {
                        let mine = wire.serve_until(under_way.acquire()).await??;
                        let word = if calls.is_multiple_of(2) { "Preparing" } else { "Available" };
                        wire.call("StatusNotification", &status(word)).await?;
                        drop(mine);
                    }
                    calls += 1;
                }
                anyhow::Ok((wire, calls))
            })
        })
        .collect();
    let (mut calls, mut wires) = (0, Vec::with_capacity(tasks.len()));
    for task in tasks {
        let (wire, made) = task.await??;
        wires.push(wire);
        calls += made;
    }
    Ok((calls, begun.elapsed(), wires))
}

/// Heartbeats at `due` and then every `every`, until `end`.
async fn paced(
    mut wire: Wire,
    kind: Kind,
    mut due: Instant,
    end: Instant,
    every: Duration,
) -> anyhow::Result<(Wire, u64)> {
    let mut calls = 0;
    while due < end {
        let until = tokio::time::sleep_until(due.into());
        wire.serve_until(until).await?;
        if kind == Kind::Paced {
            wire.call_acknowledged("Heartbeat", "{}").await?;
        } else {
            wire.call("Heartbeat", "{}").await?;
        }
        calls += 1;
        due += every;
    }
    Ok((wire, calls))
}

fn status(word: &str) -> String {
    format!(r#"{{"connectorId":1,"errorCode":"NoError","status":"{word}"}}"#)
}
