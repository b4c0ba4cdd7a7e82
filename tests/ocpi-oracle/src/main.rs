//! Prices every case of `cases.json` with `ocpi-tariffs` and prints what it makes of it. Owns the way from a case to an OCPI
//! CDR; knows nothing of Chargeline. `cargo run --manifest-path tests/ocpi-oracle/Cargo.toml > tests/ocpi-oracle/priced.json`

use anyhow::{Context, Result, anyhow};
use ocpi_tariffs::{Version, cdr, price, tariff};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../cases.json"))?;
    let priced = cases.iter().map(priced).collect::<Result<Vec<_>>>()?;
    println!("[\n{}\n]", priced.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n"));
    Ok(())
}

fn priced(case: &Value) -> Result<Value> {
    let name = case["name"].as_str().context("a case without a name")?;
    let zone: chrono_tz::Tz = case["time_zone"].as_str().context("no zone")?.parse().map_err(|e| anyhow!("{name}: {e}"))?;
    let (cdr_text, tariff_text) = (cdr_of(case)?.to_string(), case["tariff"].to_string());
    let cdr = cdr::parse_with_version(&cdr_text, Version::V221).map_err(|e| anyhow!("{name}: {e}"))?.cdr;
    let tariff = tariff::parse_with_version(&tariff_text, Version::V221).map_err(|e| anyhow!("{name}: {e}"))?.tariff;
    let report = cdr::price(&cdr, price::TariffSource::single(tariff), zone);
    let (report, _warnings) = report.map_err(|set| anyhow!("{name}: {:?}", set.into_parts().0))?.into_parts();
    let shown = |price: Option<ocpi_tariffs::Price>| {
        // The crate prints a currency sign behind the number.
        let text = |money: ocpi_tariffs::Money| money.to_string().trim_end_matches('¤').to_owned();
        price.map(|price| json!({"excl": text(price.excl_vat), "incl": price.incl_vat.map(text)}))
    };
    Ok(json!({
        "name": name,
        "total": shown(report.total_cost.calculated),
        "energy": shown(report.total_energy_cost.calculated),
        "time": shown(report.total_charging_time_cost.calculated),
        "parking": shown(report.total_idle_cost.calculated),
        "flat": shown(report.total_fixed_cost.calculated),
    }))
}

/// An OCPI 2.2.1 CDR of the case's periods. Times are in seconds since 1970, energy in Wh.
fn cdr_of(case: &Value) -> Result<Value> {
    let periods = case["periods"].as_array().context("no periods")?;
    let end = case["end"].as_str().context("no end")?;
    let mut told = Vec::new();
    let mut energy = 0;
    for (n, period) in periods.iter().enumerate() {
        let seconds = |key: &str| period[key].as_i64().context("no seconds");
        let wh = period["wh"].as_i64().context("no energy")?;
        energy += wh;
        let kind = if period["parked"] == true { "PARKING_TIME" } else { "TIME" };
        let hours = seconds("seconds")?;
        let mut dimensions = vec![json!({"type": kind, "volume": number(hours * 10_000 / 36, 6)?})];
        if wh > 0 {
            dimensions.push(json!({"type": "ENERGY", "volume": number(wh, 3)?}));
        }
        told.push(json!({"start_date_time": periods[n]["at"], "dimensions": dimensions}));
    }
    let total: i64 = periods.iter().filter_map(|period| period["seconds"].as_i64()).sum();
    Ok(json!({
        "start_date_time": periods[0]["at"], "end_date_time": end, "currency": case["tariff"]["currency"], "tariffs": [],
        "cdr_location": {"country": "NLD"}, "charging_periods": told, "total_cost": {"excl_vat": 0},
        "total_energy": number(energy, 3)?, "total_time": number(total * 10_000 / 36, 6)?, "last_updated": end,
    }))
}

/// `value` / 10^`digits`, exactly.
fn number(value: i64, digits: u32) -> Result<Value> {
    let scale = 10_i64.pow(digits);
    Ok(serde_json::from_str(&format!("{}.{:0width$}", value / scale, value % scale, width = digits as usize))?)
}
