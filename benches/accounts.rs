//! Operations on accounts, durable, at 256 clients that each wait for their answer: the journal on disk against the one in
//! memory, by the same path (host, engine, rules).
//!
//! `cargo bench --bench accounts` prints one JSON object a line. A client has accounts of its own that it takes in turn, since no
//! user does a hundred things in a minute, and freezes and releases; each is one record with one posting. Both sides alternate within a run; the ratio is the median of the rounds'.
//! `BENCH_DIR` names another place to write to.

use arc_swap::ArcSwap;
use chargeline::actors::account::gateway::NoGateway;
use chargeline::actors::account::{AccountParts, AccountShell, Accounts, NobodyListens};
use chargeline::actors::alerts;
use chargeline::actors::engine::pacer::Pacer;
use chargeline::actors::engine::restarts::RestartBudget;
use chargeline::actors::engine::{Environment, Shell};
use chargeline::actors::partners::Partners;
use chargeline::actors::tree;
use chargeline::clock::{SharedClock, WallClock};
use chargeline::config::load::from_text;
use chargeline::domain::account::{AccountFamily, Action, Outcome, Policy, Request};
use chargeline::domain::money::{Currency, Money};
use chargeline::persistence::{MemoryJournal, SharedJournal, SledJournal};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLIENTS: usize = 256;
/// Of each client.
const ACCOUNTS: usize = 32;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(500);

fn main() -> anyhow::Result<()> {
    let place = std::env::var_os("BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let directory = place.join("bench-accounts");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    actix::System::new().block_on(measure(&directory))?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

async fn measure(directory: &Path) -> anyhow::Result<()> {
    let clock: SharedClock = Arc::new(WallClock);
    let mut settings = from_text(None, &[]).map_err(|error| anyhow::anyhow!("{error}"))?.config;
    settings.journal.path = directory.join("journal");
    let disk = accounts(SledJournal::open(&settings.journal, &clock)?, &clock).await?;
    let memory = accounts(MemoryJournal::new(&clock), &clock).await?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (disk, memory) = (operate(&disk, round).await?, operate(&memory, round).await?);
        // The first round warms up.
        if round > 0 {
            ours.push(disk);
            theirs.push(memory);
            ratios.push(disk / memory);
        }
    }
    let against = format!("the same path on the journal in memory: {:.0} operations/s", median(&mut theirs));
    for (name, value, unit) in [
        ("accounts_durable_ratio", median(&mut ratios), "ratio"),
        ("accounts_per_s", median(&mut ours), "operations/s"),
    ] {
        let figure = serde_json::json!({"name": name, "value": value, "unit": unit, "against": against});
        println!("{figure}");
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

async fn accounts(journal: SharedJournal, clock: &SharedClock) -> anyhow::Result<Accounts> {
    let limits = from_text(None, &[]).map_err(|error| anyhow::anyhow!("{error}"))?.config.engine;
    let budget = Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window)));
    let (alerts, _) = alerts::channel();
    // As the product places them: one thread, beside the caller's.
    let arbiter = actix_rt::Arbiter::new();
    let (store, clock, retry_after) = (journal.clone(), clock.clone(), limits.retry_after);
    let host = tree::host(&[arbiter.handle()], retry_after, move || Environment {
        journal: store.clone(),
        clock: clock.clone(),
        entropy: Box::new(rand::random),
        pacer: Pacer::new(limits.overdue_per_second),
        process_restarts: budget.clone(),
        limits: limits.clone(),
        shell: Rc::new(AccountShell::new(AccountParts {
            policy: Arc::new(ArcSwap::from_pointee(Policy::default())),
            gateway: Arc::new(NoGateway),
            listener: Arc::new(NobodyListens),
            partners: Arc::new(Partners::new(Arc::new(|_| None))),
            alerts: alerts.clone(),
            journal: store.clone(),
        })) as Rc<dyn Shell<AccountFamily>>,
    })
    .await?;
    let accounts = Accounts::new(host, journal, retry_after);
    let opened = (0..CLIENTS * ACCOUNTS).map(|account| {
        let limit = Action::SetCreditLimit { limit: Money::new(1_000_000, Currency::CNY), by: "bench".into() };
        ask(&accounts, account, "credit".to_owned(), limit)
    });
    futures_util::stream::iter(opened).buffer_unordered(CLIENTS).try_collect::<Vec<_>>().await?;
    Ok(accounts)
}

async fn ask(accounts: &Accounts, account: usize, cause: String, action: Action) -> anyhow::Result<Outcome> {
    let outcome = accounts.ask(&format!("{account:032x}"), Request::new(cause.parse()?, action)).await;
    outcome.map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

/// Operations a second of all clients for one round.
async fn operate(accounts: &Accounts, round: usize) -> anyhow::Result<f64> {
    let began = Instant::now();
    let clients = (0..CLIENTS).map(|client| async move {
        let mut done = 0;
        while began.elapsed() < ROUND {
            let account = client * ACCOUNTS + done / 2 % ACCOUNTS;
            let hold = format!("h{round}-{done}");
            let amount = Money::new(100, Currency::CNY);
            let freeze = Action::Freeze { hold: hold.parse()?, order: hold.parse()?, amount };
            let outcome = ask(accounts, account, format!("f/{hold}"), freeze).await?;
            anyhow::ensure!(matches!(outcome, Outcome::Frozen { .. }), "{outcome:?}");
            ask(accounts, account, format!("r/{hold}"), Action::Release { hold: hold.parse()? }).await?;
            done += 2;
        }
        anyhow::Ok(done)
    });
    let done: usize = futures_util::future::try_join_all(clients).await?.into_iter().sum();
    Ok(done as f64 / began.elapsed().as_secs_f64())
}
