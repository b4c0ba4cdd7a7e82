//! Users with accounts in the crash test: money that is paid, frozen, captured and given back while the server is killed
//! (MO-1, MO-3, MO-4, RS-1 … RS-4, SE-3).
//!
//! Owns the first-party partner, its users and their payment gateway. What they did is in `money.jsonl`; [`check`] compares it
//! with the books at the end. Invariant: what got no binding answer is unknown, and held to nothing but "at most once".

pub mod check;
mod collect;
mod gateway;
mod moments;
mod record;
mod user;

use collect::collect;
pub use collect::{Account, Amount, Bill, Books, Entry, Order, Reservation};
pub use moments::{Moment, Moments};
pub use record::{Ask, MoneyRecord};

use crate::check::Verdict;
use crate::fleet::{ANY_PORT, Endpoints, World};
use crate::history::{History, Stamped, read};
use crate::operator::Operator;
use crate::partner::{PartnerClient, Sink, SinkMode};
use crate::server::Server;
use anyhow::Context;
use futures_util::future::join_all;
use gateway::Gateway;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use user::User;

/// The first-party partner.
const PARTNER: &str = "crash-app";
/// Its users, where nobody says how many.
pub const USERS: usize = 32;
/// How long one write is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sections for the server's configuration: figures small enough for charging of seconds, waits short enough for a test.
/// Failed starts block nobody here: kills make them by the dozen.
fn sections(secret: &Path, gateway_url: &str) -> String {
    format!(
        r#"
[payments]
secret_file = {secret:?}
gateway_url = {gateway_url:?}
query_after = "5s"
top_up_expires = "1m"
retry = "2s"
retry_max = "10s"

[accounts]
failed_starts = 0

[order]
freeze = 400
stop_takes = "0s"
warn_before = "0s"
payment_window = "5s"
account_retry = "3s"
account_retry_max = "10s"

[reservation]
hold = "6s"
"#
    )
}

/// The first-party partner, its users and their gateway.
#[derive(Debug)]
pub struct Town {
    /// Signals of money on its way.
    pub moments: Moments,
    people: usize,
    partner: PartnerClient,
    operator: Operator,
    sink: Sink,
    gateway: Gateway,
    history: History,
    sink_history: History,
    callback_url: String,
    run: String,
    dir: PathBuf,
    charging: Mutex<BTreeMap<String, usize>>,
}

/// A user charges there until this is dropped.
#[derive(Debug)]
pub(crate) struct Charges<'a> {
    town: &'a Town,
    charger: String,
}

impl Drop for Charges<'_> {
    fn drop(&mut self) {
        let mut charging = self.town.charging();
        if let Some(count) = charging.get_mut(&self.charger) {
            *count -= 1;
        }
    }
}

/// The gateway, which has to be there before the server is configured.
///
/// # Errors
/// When it cannot listen or the configuration cannot be written.
pub async fn prepare(server: &Server, dir: &Path) -> anyhow::Result<Prepared> {
    let secret = uuid::Uuid::new_v4().simple().to_string();
    std::fs::create_dir_all(dir)?;
    let path = dir.canonicalize()?.join("payment.secret");
    std::fs::write(&path, &secret)?;
    let gateway = Gateway::start(&secret).await?;
    server.configure("sample_interval = \"10s\"\n", &sections(&path, &gateway.url()))?;
    Ok(Prepared { gateway })
}

/// What [`prepare`] leaves for [`Town::build`].
#[derive(Debug)]
pub struct Prepared {
    gateway: Gateway,
}

impl Town {
    /// Registers the partner of so many users and a tariff.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn build(
        endpoints: &Endpoints,
        prepared: Prepared,
        world: &World,
        (people, dir): (usize, &Path),
    ) -> anyhow::Result<Town> {
        std::fs::create_dir_all(dir)?;
        let operator = Operator::new(&endpoints.operator, &endpoints.operator_token)?;
        let history = History::file(&dir.join("money.jsonl"))?;
        let sink_history = History::file(&dir.join("money-sink.jsonl"))?;
        let sink = Sink::start(ANY_PORT, 7, sink_history.clone(), Arc::clone(&world.stats)).await?;
        sink.set_mode(SinkMode::Sometimes { fail_permille: 10 });
        // It sees no site, and so is told nothing, before its secret is known.
        let body = |sites| json!({"name": "App", "webhook": {"url": sink.url()}, "sites": sites, "accounts": true});
        let path = format!("/ops/v1/partners/{PARTNER}");
        operator.call(Method::PUT, &path, Some(body(json!([])))).await?;
        let key = operator.make_key(PARTNER).await?;
        sink.set_secrets(vec![operator.make_webhook_secret(PARTNER).await?]);
        operator.call(Method::PUT, &path, Some(body(json!("all")))).await?;
        let tariff = json!({"id": "crash", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
            "from": "00:00", "to": "24:00", "electricity": 30_000, "service": 10_000}],
            "occupancy": {"grace_minutes": 0, "per_minute": 2_000, "cap": 6_000},
            "reservation": {"deposit": 10_000, "free_cancel_minutes": 0, "late_cancel_fee": 2_000,
                "no_show_fee": 5_000}});
        operator.call(Method::PUT, "/ops/v1/tariffs/crash", Some(tariff)).await?;
        let roll_out = Some(json!({"version": 1}));
        operator.call(Method::POST, "/ops/v1/tariffs/crash/roll-out", roll_out).await?;
        let partner = PartnerClient::new(&endpoints.partner, key, History::off(), Arc::clone(&world.stats), PATIENCE)?;
        let base = endpoints.partner.strip_suffix("/api/v1").context("the partner API has another path")?;
        Ok(Town {
            moments: Moments::default(),
            people,
            partner,
            operator,
            sink,
            gateway: prepared.gateway,
            history,
            sink_history,
            callback_url: format!("{base}/payments/v1/callback"),
            run: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
            dir: dir.to_owned(),
            charging: Mutex::default(),
        })
    }

    fn charging(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.charging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn charges_at(&self, charger: &str) -> Charges<'_> {
        *self.charging().entry(charger.to_owned()).or_default() += 1;
        Charges { town: self, charger: charger.to_owned() }
    }

    /// All users live until `stop` turns true.
    pub async fn drive(&self, world: &World, seed: u64, stop: watch::Receiver<bool>) {
        join_all((0..self.people).map(|n| User::new(self, world, n, seed).live(stop.clone()))).await;
    }

    /// Waits for such a moment, at most so long.
    pub async fn next(&self, moment: Moment, world: &World, limit: Duration) -> bool {
        if self.people == 0 {
            return false;
        }
        if moment != Moment::Capture {
            return self.moments.next(moment, limit).await;
        }
        let mut stopped = world.stats.stop_confirmed.subscribe();
        let ours = stopped.wait_for(|charger| self.charging().get(charger).is_some_and(|count| *count > 0));
        tokio::time::timeout(limit, ours).await.is_ok()
    }

    /// Looks at all books of the running server: what is wrong.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn books_wrong(&self) -> anyhow::Result<Option<String>> {
        let begun = Instant::now();
        loop {
            match self.operator.call(Method::GET, "/ops/v1/ledger/verify", None).await {
                Ok(found) if found["sound"] == true => return Ok(None),
                Ok(found) => return Ok(Some(found["problems"].to_string())),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Until all money is at rest: deliveries too. `false` when `limit` passed.
    pub async fn settle(&self, limit: Duration) -> bool {
        self.sink.set_mode(SinkMode::Accept);
        let begun = Instant::now();
        while begun.elapsed() < limit {
            match self.unsettled().await {
                Ok(None) => return true,
                Ok(Some(what)) => tracing::info!(what, "money is on its way"),
                Err(error) => tracing::warn!(%error, "the books cannot be read"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    }

    /// The first thing that is still on its way. What waits for a person is settled at its bill.
    async fn unsettled(&self) -> anyhow::Result<Option<String>> {
        let reviews = self.operator.call(Method::GET, "/ops/v1/order-reviews?limit=100", None).await?;
        for review in reviews["items"].as_array().into_iter().flatten() {
            let path = format!("/ops/v1/orders/{}/settle", review["order_id"].as_str().unwrap_or_default());
            // One whose capture is on its way already is still listed for a moment.
            drop(self.operator.call(Method::POST, &path, Some(json!({}))).await);
        }
        let (books, records) = (collect(&self.partner, &self.users(), &self.gateway).await?, self.records()?);
        if let Some(what) = check::on_its_way(&records, &books) {
            return Ok(Some(what));
        }
        let (depth, _) = self.operator.queue(PARTNER).await?;
        Ok(depth.filter(|depth| *depth > 0).map(|depth| format!("{depth} deliveries")))
    }

    fn users(&self) -> Vec<String> {
        (0..self.people).map(|n| format!("payer-{n}")).collect()
    }

    fn records(&self) -> anyhow::Result<Vec<Stamped<MoneyRecord>>> {
        self.history.flush()?;
        read(&self.dir.join("money.jsonl"))
    }

    /// Compares what was done with the books; and what the sink was told with the events.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn verify(&self, verdict: &mut Verdict) -> anyhow::Result<check::Figures> {
        let books = collect(&self.partner, &self.users(), &self.gateway).await?;
        let sessions = self.operator.sessions().await?;
        std::fs::write(self.dir.join("books.json"), serde_json::to_vec(&books)?)?;
        let figures = check::check(&self.records()?, &books, &sessions, verdict);
        self.sink_history.flush()?;
        let sink = read(&self.dir.join("money-sink.jsonl"))?;
        let histories = crate::check::Histories { sink, ..Default::default() };
        let answers = crate::check::ServerAnswers { events: self.partner.events().await?, ..Default::default() };
        let pushed = crate::check::check(&histories, &answers);
        verdict.figures.events_received += pushed.figures.events_received;
        verdict.violations.extend(pushed.violations);
        verdict.violations.sort();
        Ok(figures)
    }
}
