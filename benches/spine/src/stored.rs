//! Orders of the past: rows as a real order leaves them, stamped out under new names into a store that nobody serves.
//! Owns the stamping; never the shape of a row.

use crate::charge;
use crate::host::{Host, Wishes, identity};
use anyhow::{Context, ensure};
use axum::http::Method;
use chargeline::clock::{Timestamp, WallClock};
use chargeline::domain::entity::Row;
use chargeline::persistence::sled::{Tool, store_raw};
use chargeline::persistence::{Append, Journal as _, NewRecord, SledJournal, Snapshot, StreamName};
use loadtest::net::Sources;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a session takes to be settled.
const SETTLED_MAX: Duration = Duration::from_secs(30);
/// Orders stored in one append.
const TOGETHER: usize = 200;

/// The rows of one settled order and its session.
pub(crate) struct Template {
    session: String,
    rows: Vec<(&'static str, String, String)>,
}

/// Rolls a tariff out, without which nothing is ordered.
pub(crate) async fn tariff(host: &Host) -> anyhow::Result<()> {
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 50_000, "service": 50_000});
    let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    host.operator.call(Method::PUT, "/ops/v1/tariffs/flat", Some(tariff)).await?;
    host.operator.call(Method::POST, "/ops/v1/tariffs/flat/roll-out", Some(json!({"version": 1}))).await?;
    Ok(())
}

/// Lets a real session be ordered, charged and settled, and takes its rows.
pub(crate) async fn template(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<Template> {
    let mut host = Host::start(paths, "template", Wishes::default()).await?;
    host.register(0, 1, 1).await?;
    host.partner("a", None).await?;
    tariff(&host).await?;
    let mut wires = host.fleet(0, 1, sources).await?;
    let wire = wires.first_mut().context("no charger")?;
    let transaction = charge::start(wire, "tag-a").await?;
    charge::stop(wire, transaction).await?;
    let session = settled(&host).await?;
    host.kill().await?;
    let store = host.journal()?.path;
    let mut raw = String::new();
    store_raw(&store, &mut raw)?;
    let tool = Tool::open(&store)?;
    let mut rows = Vec::new();
    for table in tables(&raw) {
        tool.rows(&table, "", |row| {
            let value = String::from_utf8_lossy(&row.value).into_owned();
            if row.key.contains(&session) || value.contains(&session) {
                // A handful of names, once a run.
                rows.push((String::leak(table.clone()) as &'static str, row.key, value));
            }
            Ok(())
        })?;
    }
    drop(tool);
    ensure!(rows.iter().any(|(table, ..)| *table == "order"), "no order among the rows of {session}");
    host.end().await?;
    Ok(Template { session, rows })
}

/// The one session, once its order is paid.
async fn settled(host: &Host) -> anyhow::Result<String> {
    let begun = Instant::now();
    loop {
        let sessions = host.operator.sessions().await?;
        if let Some(session) = sessions.first() {
            let path = format!("/ops/v1/orders/{}", session.session_id);
            let order = host.operator.call(Method::GET, &path, None).await.unwrap_or_default();
            if order["status"] == "Paid" || order["order"]["status"] == "Paid" {
                return Ok(session.session_id.clone());
            }
            ensure!(begun.elapsed() < SETTLED_MAX, "never settled: {order}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The names of all tables in a store's listing, each once.
fn tables(raw: &str) -> Vec<String> {
    let mut names: Vec<String> = raw
        .lines()
        .filter_map(|line| line.strip_prefix("72"))
        .filter_map(|rest| {
            let name = rest.split(' ').next()?.as_bytes().chunks(2).map(|pair| {
                std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0)
            });
            String::from_utf8(name.take_while(|byte| *byte != 0).collect()).ok()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

impl Template {
    /// Bytes of an order's rows.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(|(table, key, value)| table.len() + key.len() + value.len()).sum()
    }

    fn stamp(&self, n: usize, chargers: usize) -> impl Iterator<Item = Row> {
        // As long as the template's, and rising as ids of later orders do.
        let session = format!("{}{n:012x}", &self.session[..self.session.len() - 12]);
        let charger = identity(n % chargers);
        self.rows.iter().map(move |(table, key, value)| {
            let anew = |text: &str| text.replace(&self.session, &session).replace(&identity(0), &charger);
            Row { table, key: anew(key), value: Some(anew(value).into_bytes()) }
        })
    }

    /// Stores the orders `from..to` of `chargers` chargers in the journal of a server that does not run.
    pub(crate) async fn store(&self, host: &Host, from: usize, to: usize, chargers: usize) -> anyhow::Result<()> {
        let journal = SledJournal::open(&host.journal()?, &(Arc::new(WallClock) as _))?;
        // Of no family that is served, and a snapshot covers it: it is nobody's to recover.
        let claimed = journal.claim(&StreamName::new("stamped", "orders")).await?;
        let mut sequence = claimed.sequence;
        for begin in (from..to).step_by(TOGETHER) {
            let rows = (begin..to.min(begin + TOGETHER)).flat_map(|n| self.stamp(n, chargers)).collect();
            let record = NewRecord { at: Timestamp(0), id: begin as u128 + 1, body: Vec::new(), notices: Vec::new() };
            let append = Append { after: sequence, records: vec![record], rows };
            sequence = journal.append(&claimed.token, append).await?.sequence;
        }
        Ok(journal.snapshot(&claimed.token, Snapshot { sequence, state: Vec::new() }, false).await?)
    }
}
