//! What hostile partners take from another: two servers with a healthy partner and six neighbours each. On one the neighbours are
//! quick; on the other each is bad in its own way, with thousands of events queued. Rounds alternate between the servers.
//!
//! | neighbour | what it does |
//! |---|---|
//! | `slow` | answers after 20 s, beyond the 15 s that a try may take |
//! | `reset` | reads the request and resets the connection |
//! | `huge` | answers 200 with a body of 10 MB |
//! | `redirect` | answers 302 to the metadata address 169.254.169.254 |
//! | `rebind` | its name has a good address at one look and 169.254.169.254 at the next |
//! | `dead` | takes connections and never reads |

use crate::charge;
use crate::figure::{Limit, median, quantile, tell};
use crate::host::{Host, Wishes};
use crate::sink::Sink;
use crate::webhook::{PACED, paced};
use crate::wire::Wire;
use axum::http::Method;
use chargeline::actors::webhook::{Lookup, SystemLookup};
use futures_util::future::BoxFuture;
use loadtest::net::Sources;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Issue's bound: no other partner's p99 changes by more.
const SLOWER_MAX: f64 = 2.0;
/// Sessions of each neighbour's backlog, of two events each.
const SESSIONS: u64 = 1_000;
/// The share of one neighbour: tries under way at once (`webhook.in_flight`), and as many connections that are kept.
const SOCKETS_EACH: f64 = 64.0;
/// The share of one neighbour: its window, its payloads read ahead and the answers being read; see docs/abuse.md.
const MEMORY_EACH_MB: f64 = 16.0;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(4);
/// Chargers of the healthy partner, each with one event a second: a round has 400 events, and a slow sync of the disk
/// meets several of them.
const CHARGERS: usize = 2 * PACED;
const SLOW: Duration = Duration::from_secs(20);
const HUGE: usize = 10_000_000;
const NAME: &str = "rebinding.example";
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const NEIGHBOURS: [&str; 6] = ["slow", "reset", "huge", "redirect", "rebind", "dead"];

/// A resolver that tells the one who looks twice something else.
#[derive(Debug, Default)]
pub(crate) struct Rebinding(AtomicUsize);

impl Lookup for Rebinding {
    fn lookup(&self, name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        if name != NAME {
            return SystemLookup.lookup(name);
        }
        let good = self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let address = if good { Ipv4Addr::LOCALHOST } else { METADATA };
        Box::pin(async move { Ok(vec![address.into()]) })
    }
}

/// What a connection to a neighbour meets.
async fn meet(kind: &'static str, mut stream: TcpStream) -> std::io::Result<()> {
    if kind == "dead" {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        return Ok(());
    }
    let mut head = vec![0; 65_536];
    // The request comes in one piece; a part of it would do.
    let _read = stream.read(&mut head).await?;
    match kind {
        "reset" => stream.set_zero_linger(),
        "redirect" => {
            let head = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://{METADATA}/latest/meta-data/\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await
        }
        "huge" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let piece = vec![b'x'; 65_536];
            let mut left = HUGE;
            while left > 0 {
                let now = left.min(piece.len());
                stream.write_all(&piece[..now]).await?;
                left -= now;
            }
            Ok(())
        }
        _ => {
            tokio::time::sleep(SLOW).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
        }
    }
}

/// A neighbour's endpoint: its URL.
async fn endpoint(kind: &'static str) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let host = if kind == "rebind" { NAME } else { "127.0.0.1" };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Its end is the server's business: that it breaks is what is played here.
            tokio::spawn(meet(kind, stream));
        }
    });
    Ok(format!("http://{host}:{port}/hook"))
}

struct Side {
    host: Host,
    healthy: Sink,
    wires: Vec<Wire>,
    /// Of each round.
    ways_ms: Vec<Vec<f64>>,
    /// Open files before there were neighbours, and at most since.
    files_before: usize,
    files: usize,
}

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let mut without = Side::start(paths, sources, "hostile-without", false).await?;
    let mut with = Side::start(paths, sources, "hostile-with", true).await?;
    for round in 0..=ROUNDS {
        without.round(round > 0).await?;
        with.round(round > 0).await?;
    }
    // Of each round, so that a few slow syncs of the disk are a bad round and not the figure.
    let p99 = |ways: &Vec<f64>| quantile(ways, 0.99).max(1.0);
    let each = |side: &Side| side.ways_ms.iter().map(p99).collect::<Vec<f64>>();
    let (quick, bad) = (each(&without), each(&with));
    let ratios: Vec<f64> = bad.iter().zip(&quick).map(|(bad, quick)| bad / quick).collect();
    let all = |side: &Side| p99(&side.ways_ms.concat());
    let against = format!(
        "the median of {} rounds; p99 of the healthy partner beside six quick ones {quick:.0?} ms, beside six bad ones ({}) with {} \
         events queued each {bad:.0?} ms; {} events a round; of all rounds' events {:.0} and {:.0} ms",
        ratios.len(),
        NEIGHBOURS.join(", "),
        SESSIONS * 2,
        CHARGERS * 4,
        all(&without),
        all(&with)
    );
    tell("hostile_neighbours_ratio", median(&ratios), "ratio", Limit::Most(SLOWER_MAX), &against);
    let each = NEIGHBOURS.len() as f64;
    let files = with.files.saturating_sub(with.files_before) as f64 / each;
    let against = format!(
        "open files at most, for each of six: {}, {} before there were any neighbours",
        with.files, with.files_before
    );
    tell("hostile_sockets_each", files, "sockets", Limit::Most(SOCKETS_EACH), &against);
    let memory = |side: &Side| anyhow::Ok(side.host.process()?.memory()? / 1e6);
    let (bad, good) = (memory(&with)?, memory(&without)?);
    let against = format!("memory more than beside quick ones, for each of six: {bad:.0} and {good:.0} MB");
    tell("hostile_memory_each_mb", (bad - good) / each, "MB", Limit::Most(MEMORY_EACH_MB), &against);
    with.host.end().await?;
    without.host.end().await
}

impl Side {
    /// A healthy partner, its neighbours, and the neighbours' backlogs.
    async fn start(paths: &crate::Paths, sources: &Arc<Sources>, name: &str, hostile: bool) -> anyhow::Result<Side> {
        let healthy = Sink::start(Duration::ZERO).await?;
        let host = Host::start(paths, name, Wishes { rebinding: true, ..Wishes::default() }).await?;
        host.register(0, CHARGERS, 1).await?;
        host.partner("healthy", Some(&healthy.url)).await?;
        let mut wires = host.fleet(0, CHARGERS, sources).await?;
        let files_before = host.process()?.files()?;
        let quick = Sink::start(Duration::ZERO).await?;
        for kind in NEIGHBOURS {
            let url = if hostile { endpoint(kind).await? } else { quick.url.clone() };
            host.partner(kind, Some(&url)).await?;
            if hostile {
                // It was good when it came: a bad one would not get past the challenge.
                let path = format!("/ops/v1/partners/{kind}/webhooks/default/vouch");
                host.operator.call(Method::POST, &path, Some(json!({}))).await?;
            }
            let round = charge::round(wires, &format!("tag-{kind}"), Duration::from_secs(60), SESSIONS).await?;
            anyhow::ensure!(round.sessions == SESSIONS, "{} of {SESSIONS} sessions of {kind}", round.sessions);
            wires = round.wires;
        }
        Ok(Side { host, healthy, wires, ways_ms: Vec::new(), files_before, files: files_before })
    }

    async fn round(&mut self, counts: bool) -> anyhow::Result<()> {
        let wires = paced(std::mem::take(&mut self.wires), "tag-healthy", ROUND).await?;
        self.wires = wires;
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.files = self.files.max(self.host.process()?.files()?);
        let ways = self.healthy.take();
        if counts {
            self.ways_ms.push(ways.into_iter().map(|(_, ms)| ms).collect());
        }
        Ok(())
    }
}
