//! Random input against what strangers reach: [`frames`] reads mutated frames, [`sessions`] lets whole
//! sessions of them reach the rules. Owns the clock of a run and the way a failure is told; never a rule.
//!
//! `cargo xtask fuzz --minutes N` runs both; an ordinary test run gives each two seconds. Both are replayed by what they
//! print: `FUZZ_SEED` for one round. There is no coverage feedback: inputs whose *outcome* is new are kept and mutated on.

mod frames;
mod mutate;
mod sessions;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long an ordinary test run takes for each target; `FUZZ_SECONDS` asks for more.
const SECONDS: u64 = 2;
/// Longest that one round may take before it counts as hanging: a round is some milliseconds of work.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// Runs rounds until the time is up, each from a seed of its own. The closing line counts them.
fn rounds(target: &str, mut round: impl FnMut(&mut SmallRng) -> u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS));
    let (begun, only) = (Instant::now(), number("FUZZ_SEED"));
    let (mut count, mut inputs, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    while count == 0 || (only.is_none() && begun.elapsed() < time) {
        let seed = only.unwrap_or_else(rand::random);
        let at = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| round(&mut SmallRng::seed_from_u64(seed))));
        let Ok(made) = outcome else {
            panic!("fuzz {target} found a fault: FUZZ_SEED={seed} cargo test --lib fuzz::{target}");
        };
        slowest = slowest.max(at.elapsed());
        assert!(slowest < ROUND_MAX, "a round took {slowest:?}: FUZZ_SEED={seed} cargo test --lib fuzz::{target}");
        (count, inputs) = (count + 1, inputs + made);
    }
    eprintln!("fuzz {target}: {inputs} inputs in {count} rounds, {:?}, slowest round {slowest:?}", begun.elapsed());
}

fn one_of<'a, T>(rng: &mut SmallRng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}
