//! What pricing costs: a tariff of 24 slices over a session of 10 hours with 600 readings.
//!
//! `cargo bench --bench pricing [-- NAME …]` prints one JSON object a line. The bare side walks the same readings and adds up what
//! the register rose by between two of them: no price can be had for less. Both sides alternate within a run; the ratio is the
//! median of the rounds'.

use chargeline::clock::Timestamp;
use chargeline::domain::pricing::{Register, Running, Usage, price, so_far};
use chargeline::domain::tariff::Tariff;
use serde_json::json;
use std::hint::black_box;
use std::time::{Duration, Instant};

const READINGS: i64 = 600;
const ROUNDS: usize = 21;
/// Long enough for thousands of bills, short enough that both sides meet the same weather.
const ROUND: Duration = Duration::from_millis(60);
/// 2026-03-03T06:17Z.
const START: Timestamp = Timestamp(1_772_518_620_000);

fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let (tariff, usage) = (tariff()?, usage());
    let bill = price(&tariff, &usage)?;
    // Eleven hours of the clock are met, each with electricity and service.
    anyhow::ensure!(bill.lines.len() == 22 && bill.energy_wh == 72_000, "the bill is not what is to be measured");
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if asked("pricing_ratio") || asked("pricing_per_s") {
        let (mut ours, mut ratios) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let one = rate(|| price(black_box(&tariff), black_box(&usage)).is_ok_and(|bill| bill.total.minor > 0))?;
            let bare = rate(|| walk(black_box(&usage)) > 0)?;
            // The first round warms up.
            if round > 0 {
                ours.push(one);
                ratios.push(one / bare);
            }
        }
        let ours = median(ours);
        tell("pricing_per_s", ours, "bills/s", "a tariff of 24 slices, 10 hours, 600 readings, a bill of 22 lines");
        tell("pricing_ratio", median(ratios), "ratio", "a loop that only adds up what the register rose by");
    }
    if asked("running_price_ns") {
        let mut running = Running::begin(&tariff, usage.start, usage.start_wh, usage.gap_after_ms)?;
        let begun = Instant::now();
        for reading in &usage.readings {
            running.read(&tariff, *reading)?;
            black_box(so_far(&tariff, &running)?);
        }
        let each = begun.elapsed().as_secs_f64() * 1e9 / READINGS as f64;
        tell("running_price_ns", each, "ns", "one reading taken and the price so far told, over the same session");
    }
    Ok(())
}

fn tell(name: &str, value: f64, unit: &str, against: &str) {
    println!(
        "{}",
        json!({"name": name, "value": (value * 10_000.0).round() / 10_000.0, "unit": unit, "against": against})
    );
}

/// How often a second it can be done.
fn rate(mut act: impl FnMut() -> bool) -> anyhow::Result<f64> {
    let (begun, mut count) = (Instant::now(), 0_u64);
    while begun.elapsed() < ROUND {
        for _ in 0..16 {
            anyhow::ensure!(act(), "nothing came of it");
        }
        count += 16;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

fn walk(usage: &Usage) -> i64 {
    let (mut register, mut sum) = (usage.start_wh, 0);
    for reading in &usage.readings {
        sum += black_box(reading.wh) - register;
        register = reading.wh;
    }
    sum + usage.end_wh - register
}

fn tariff() -> anyhow::Result<Tariff> {
    let slices: Vec<_> = (0..24)
        .map(|hour| {
            let (from, to) = (format!("{hour:02}:00"), format!("{:02}:00", hour + 1));
            json!({"name": "flat", "from": from, "to": to, "electricity": 4_000 + 100 * hour, "service": 3_000 + hour})
        })
        .collect();
    Ok(serde_json::from_value(
        json!({"id": "bench", "currency": "CNY", "time_zone": "Europe/Berlin", "slices": slices}),
    )?)
}

/// A reading a minute, 7.2 kW.
fn usage() -> Usage {
    let at = |minute: i64| Timestamp(START.0 + minute * 60_000);
    let readings = (0..READINGS).map(|n| Register { at: at(n), wh: 1_000 + n * 120, late: false }).collect();
    Usage {
        start: START,
        end: at(READINGS),
        start_wh: 1_000,
        end_wh: 1_000 + READINGS * 120,
        readings,
        parked: Vec::new(),
        gap_after_ms: 180_000,
        estimated: false,
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
