//! How a figure is told: one JSON object a line. Owns its shape, and whether all limits were kept.

use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

static SHORT: AtomicUsize = AtomicUsize::new(0);

/// What a figure has to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// No less.
    Least(f64),
    /// No more.
    Most(f64),
    /// Only told.
    None,
}

/// Prints a figure with what it was measured against.
pub(crate) fn tell(name: &str, value: f64, unit: &str, limit: Limit, against: &str) {
    let digits = if value.abs() < 10.0 { 1_000.0 } else { 10.0 };
    let mut line = json!({"name": name, "value": (value * digits).round() / digits, "unit": unit});
    let (limit, met) = match limit {
        Limit::Least(least) => (Some(least), value >= least),
        Limit::Most(most) => (Some(most), value <= most),
        Limit::None => (None, true),
    };
    if let Some(limit) = limit {
        line["limit"] = json!(limit);
        line["met"] = json!(met);
    }
    line["against"] = json!(against);
    SHORT.fetch_add(usize::from(!met), Ordering::Relaxed);
    println!("{line}");
}

/// Prints that a figure could not be had, and why.
pub(crate) fn skip(name: &str, unit: &str, why: &str) {
    println!("{}", json!({"name": name, "value": null, "unit": unit, "against": format!("skipped: {why}")}));
}

/// How many figures fell short of their limit.
pub(crate) fn short() -> usize {
    SHORT.load(Ordering::Relaxed)
}

/// The middle one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure that a part of `q` of all does not exceed; NaN of none.
pub(crate) fn quantile(figures: &[f64], q: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    // q is at most 1, and the lists are short: exact.
    let at = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
