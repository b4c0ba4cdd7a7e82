//! What a message costs against how many chargers are connected, from 100 to 15,000, next to the bare responder's: at the same load
//! of all together (`docs/cost-growth.svg`), and where each brings its own (`docs/cost-load.svg`).

use crate::figure::{Limit, median, tell};
use crate::heartbeat::bare;
use crate::host::{Host, Wishes};
use crate::keeper::{Keeper, Kind, Whom};
use crate::process::Process;
use loadtest::net::Sources;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const POINTS: [usize; 6] = [100, 300, 1_000, 3_000, 10_000, 15_000];
const ROUNDS: usize = 3;
/// Long enough for each of the most chargers to speak once.
const ROUND: Duration = Duration::from_millis(3_000);

/// A load that is measured, and its plot.
struct Load {
    kind: Kind,
    name: &'static str,
    what: &'static str,
    plot: &'static str,
}

const LOADS: [Load; 2] = [
    Load { kind: Kind::Paced, name: "curve", what: "5000 a second of all together", plot: "docs/cost-growth.svg" },
    Load { kind: Kind::Steady, name: "load", what: "one of each charger in 3 s", plot: "docs/cost-load.svg" },
];

struct Side {
    whom: Whom,
    at: SocketAddr,
    process: Process,
    /// Of each load at each point, in µs a heartbeat.
    costs: [Vec<f64>; LOADS.len()],
}

pub(crate) async fn run(paths: &crate::Paths, _: &Arc<Sources>) -> anyhow::Result<()> {
    let host = Host::start(paths, "curve", Wishes::default()).await?;
    host.register(0, POINTS[POINTS.len() - 1], 1).await?;
    let (mut child, process, at) = bare().await?;
    let mut sides = [
        Side { whom: Whom::Product, at: host.ocpp(), process: host.process()?, costs: Default::default() },
        Side { whom: Whom::Bare, at, process, costs: Default::default() },
    ];
    for chargers in POINTS {
        point(&host, &mut sides, chargers).await?;
    }
    let [ours, theirs] = sides.map(|side| side.costs);
    for ((load, ours), theirs) in LOADS.iter().zip(&ours).zip(&theirs) {
        report(load, ours, theirs)?;
    }
    child.kill().await?;
    host.end().await
}

fn report(load: &Load, ours: &[f64], theirs: &[f64]) -> anyhow::Result<()> {
    for ((chargers, ours), theirs) in POINTS.iter().zip(ours).zip(theirs) {
        let against = format!("the bare responder's {theirs:.1} µs; processor time of a heartbeat, {}", load.what);
        tell(&format!("{}_cost_us_{chargers}", load.name), *ours, "us", Limit::None, &against);
    }
    let grown = |costs: &[f64]| costs[costs.len() - 1] / costs[0];
    let against =
        format!("the bare responder's {:.2}; the most chargers against the fewest, {}", grown(theirs), load.what);
    tell(&format!("{}_growth_ratio", load.name), grown(ours), "ratio", Limit::None, &against);
    Ok(std::fs::write(load.plot, drawn(load.what, ours, theirs)?)?)
}

/// Connects so many to both, and lets them speak in turn.
async fn point(host: &Host, sides: &mut [Side; 2], chargers: usize) -> anyhow::Result<()> {
    let mut keepers = Vec::new();
    for side in sides.iter() {
        keepers.push(Keeper::start(side.whom, side.at, chargers).await?);
        side.process.quiet().await?;
    }
    host.folded().await?;
    for (n, load) in LOADS.iter().enumerate() {
        let mut costs = [Vec::new(), Vec::new()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            for ((side, keeper), costs) in sides.iter().zip(&mut keepers).zip(&mut costs) {
                let before = side.process.cpu_s()?;
                let (calls, _) = keeper.round(load.kind, ROUND).await?;
                if round > 0 {
                    costs.push((side.process.cpu_s()? - before) * 1e6 / calls as f64);
                }
            }
        }
        for (side, costs) in sides.iter_mut().zip(costs) {
            side.costs[n].push(median(&costs));
        }
    }
    Ok(())
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for the axes: left, top, right, bottom.
const MARGIN: [f64; 4] = [60.0, 40.0, 130.0, 50.0];

/// Where a number of chargers lies, on a logarithmic scale.
fn x(chargers: usize) -> f64 {
    let (least, most) = ((POINTS[0] as f64).ln(), (POINTS[POINTS.len() - 1] as f64).ln());
    MARGIN[0] + ((chargers as f64).ln() - least) / (most - least) * (WIDTH - MARGIN[0] - MARGIN[2])
}

/// Where a cost lies, from 0 to `most`.
fn y(cost: f64, most: f64) -> f64 {
    HEIGHT - MARGIN[3] - cost / most * (HEIGHT - MARGIN[1] - MARGIN[3])
}

/// The plot of both under a load.
fn drawn(load: &str, ours: &[f64], theirs: &[f64]) -> Result<String, std::fmt::Error> {
    let highest = ours.iter().chain(theirs).copied().fold(1.0, f64::max);
    let most = (highest / 5.0).ceil() * 5.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Processor time of a heartbeat against connected chargers</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"22\" font-size=\"14\">Processor time of a heartbeat (µs), {load}</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">connected chargers</text>\n",
        MARGIN[0],
        f64::midpoint(MARGIN[0], WIDTH - MARGIN[2]),
        HEIGHT - 12.0
    );
    let (left, right, floor) = (MARGIN[0], WIDTH - MARGIN[2], HEIGHT - MARGIN[3]);
    for step in 0..=5 {
        let cost = most * f64::from(step) / 5.0;
        let at = y(cost, most);
        writeln!(svg, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>")?;
        writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{cost:.0}</text>", left - 8.0, at + 4.0)?;
    }
    for chargers in POINTS {
        let at = x(chargers);
        writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{floor}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"#888\"/>", floor + 5.0)?;
        writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{chargers}</text>", floor + 18.0)?;
    }
    for (name, colour, costs) in [("Chargeline", "#0b6e4f", ours), ("bare responder", "#b35900", theirs)] {
        let line: Vec<String> =
            POINTS.iter().zip(costs).map(|(n, cost)| format!("{:.1},{:.1}", x(*n), y(*cost, most))).collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        )?;
        for (n, cost) in POINTS.iter().zip(costs) {
            let (x, y) = (x(*n), y(*cost, most));
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>")?;
        }
        let last = costs.last().copied().unwrap_or_default();
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" fill=\"{colour}\">{name} {last:.1}</text>",
            right + 8.0,
            y(last, most) + 4.0
        )?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
