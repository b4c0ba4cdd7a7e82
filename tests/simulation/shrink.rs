//! Makes a failing run small: leaves out what it does not need to fail in the same way (delta debugging).

use crate::journal::Lie;
use crate::plan::Plan;
use crate::world::{Setting, run};

/// The shortest list of steps found, in so many runs, that breaks the same invariant.
pub(crate) fn shrink(setting: &Setting, plan: &Plan, lie: Option<Lie>, invariant: &str, most: u32) -> Plan {
    let mut best = plan.clone();
    let mut tries = 0;
    let mut fails = |plan: &Plan| {
        tries += 1;
        let failure = run(setting, plan, lie, false).failure;
        (failure.is_some_and(|failure| failure.invariant == invariant), tries >= most)
    };
    let mut chunk = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let mut shorter = false;
        while from < best.steps.len() {
            let mut candidate = best.clone();
            candidate.steps.drain(from..(from + chunk).min(candidate.steps.len()));
            let (failed, spent) = fails(&candidate);
            if failed {
                best = candidate;
                shorter = true;
            } else {
                from += chunk;
            }
            if spent {
                return best;
            }
        }
        if chunk == 1 && !shorter {
            return best;
        }
        chunk = chunk.div_ceil(2).max(1);
    }
}
