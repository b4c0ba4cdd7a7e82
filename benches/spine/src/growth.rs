//! What a message costs when many chargers are connected: the server and the bare responder, each with few and with many
//! connections, four processes whose rounds alternate: without a pause, and at a pace.

use crate::figure::{Limit, median, tell};
use crate::heartbeat::bare;
use crate::host::{Host, Wishes};
use crate::keeper::{Keeper, Kind, PACE, Whom};
use crate::process::Process;
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::Duration;

const FEW: usize = 100;
const MANY: usize = 15_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(2_000);
/// Long enough for each of [`MANY`] chargers to speak at [`PACE`].
const PACED_ROUND: Duration = Duration::from_millis(3_000);
/// After so long a silence the sockets of those who only booted are at rest: it is asked for every 10 s whether anything has passed.
const AT_REST: Duration = Duration::from_secs(25);

/// One server with its chargers.
struct Side {
    process: Process,
    keeper: Keeper,
}

/// What the rounds of one kind at one side gave.
#[derive(Default)]
struct Rounds {
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
}

pub(crate) async fn run(paths: &crate::Paths, _: &Arc<Sources>) -> anyhow::Result<()> {
    let (mut hosts, mut children, mut sides) = (Vec::new(), Vec::new(), Vec::new());
    for chargers in [FEW, MANY] {
        let host = Host::start(paths, &format!("growth-{chargers}"), Wishes::default()).await?;
        host.register(0, chargers, 1).await?;
        let (process, at) = (host.process()?, host.ocpp());
        sides.push(Side { process, keeper: Keeper::start(Whom::Product, at, chargers).await? });
        hosts.push(host);
        let (child, process, at) = bare().await?;
        sides.push(Side { process, keeper: Keeper::start(Whom::Bare, at, chargers).await? });
        children.push(child);
    }
    for side in &sides {
        side.process.quiet().await?;
    }
    for host in &hosts {
        host.folded().await?;
    }
    tokio::time::sleep(AT_REST).await;
    let mut woken = Rounds::default();
    woken.add(&mut sides[2], Kind::Paced, true).await?;
    let mut calls: [Rounds; 4] = Default::default();
    let (mut paced, mut paced_only): ([Rounds; 4], [Rounds; 4]) = Default::default();
    let mut status: [Rounds; 2] = Default::default();
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (side, rounds) in sides.iter_mut().zip(&mut calls) {
            rounds.add(side, Kind::Heartbeat, round > 0).await?;
        }
        for (side, rounds) in sides.iter_mut().zip(&mut paced) {
            rounds.add(side, Kind::Paced, round > 0).await?;
        }
        for (side, rounds) in sides.iter_mut().zip(&mut paced_only) {
            rounds.add(side, Kind::PacedOnly, round > 0).await?;
        }
        for (side, rounds) in sides.iter_mut().step_by(2).zip(&mut status) {
            rounds.add(side, Kind::Status, round > 0).await?;
        }
    }
    report(&calls, &status);
    report_paced(&paced, &paced_only, &woken);
    drop(sides);
    for mut child in children {
        child.kill().await?;
    }
    for host in hosts {
        host.end().await?;
    }
    Ok(())
}

fn report([few, bare_few, many, bare_many]: &[Rounds; 4], [status_few, status_many]: &[Rounds; 2]) {
    let against = format!(
        "bare tokio-tungstenite responder: {:.0} calls/s; chargeline {:.0}",
        median(&bare_many.per_s),
        median(&many.per_s)
    );
    let limit = Limit::Least(0.75);
    tell(&format!("heartbeat_ratio_{MANY}"), ratio(&many.per_s, &bare_many.per_s), "ratio", limit, &against);
    let against = format!(
        "processor time of the server, a heartbeat: {:.1} µs at {FEW} chargers, {:.1} µs at {MANY}; the bare responder's \
         {:.1} and {:.1}",
        median(&few.cpu_us),
        median(&many.cpu_us),
        median(&bare_few.cpu_us),
        median(&bare_many.cpu_us)
    );
    let (grown, bare_grown) = (ratio(&many.cpu_us, &few.cpu_us), ratio(&bare_many.cpu_us, &bare_few.cpu_us));
    tell("cost_growth_unpaced_ratio", grown, "ratio", Limit::None, &against);
    let against = "how much more a heartbeat's cost grows than that of a server that does nothing but answer";
    tell("cost_growth_unpaced_over_bare_ratio", grown / bare_grown, "ratio", Limit::Most(1.2), against);
    let against = format!(
        "processor time of the server, a status made durable: {:.1} µs at {FEW} chargers, {:.1} µs at {MANY}",
        median(&status_few.cpu_us),
        median(&status_many.cpu_us)
    );
    tell("cost_growth_durable_ratio", ratio(&status_many.cpu_us, &status_few.cpu_us), "ratio", Limit::None, &against);
}

fn report_paced(paced: &[Rounds; 4], paced_only: &[Rounds; 4], woken: &Rounds) {
    let tell_growth = |name: &str, limit, [few, bare_few, many, bare_many]: &[Rounds; 4], what: &str| {
        let against = format!(
            "processor time of the server, a heartbeat, at {PACE} a second, {what}: {:.1} µs of {FEW} chargers, {:.1} µs of {MANY}; \
             the bare responder's {:.1} and {:.1}, {:.2} times",
            median(&few.cpu_us),
            median(&many.cpu_us),
            median(&bare_few.cpu_us),
            median(&bare_many.cpu_us),
            ratio(&bare_many.cpu_us, &bare_few.cpu_us)
        );
        tell(name, ratio(&many.cpu_us, &few.cpu_us), "ratio", limit, &against);
    };
    tell_growth("cost_growth_ratio", Limit::Most(1.2), paced, "each answer acknowledged once it was read");
    tell_growth("cost_growth_kernel_acks_ratio", Limit::None, paced_only, "acknowledged as the kernel sees fit");
    let against =
        format!("a heartbeat of {MANY} chargers of which each had only booted, {AT_REST:?} before: at rest, one round");
    tell("cost_from_rest_us", median(&woken.cpu_us), "us", Limit::None, &against);
}

/// The middle one of the ratios of the rounds.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<f64>>())
}

impl Rounds {
    async fn add(&mut self, side: &mut Side, kind: Kind, counts: bool) -> anyhow::Result<()> {
        let before = side.process.cpu_s()?;
        let time = if matches!(kind, Kind::Paced | Kind::PacedOnly) { PACED_ROUND } else { ROUND };
        let (calls, took) = side.keeper.round(kind, time).await?;
        if counts {
            self.per_s.push(calls as f64 / took.as_secs_f64());
            self.cpu_us.push((side.process.cpu_s()? - before) * 1e6 / calls as f64);
        }
        Ok(())
    }
}
