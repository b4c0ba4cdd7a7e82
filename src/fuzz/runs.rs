//! The random runs of every `cargo test`, without guidance by coverage, and the replay of the corpus that guided runs grew.
//! Inputs of `frames` whose *outcome* is new are kept and mutated on; lives of `sessions` come from a seed.

use super::{frame, mutate, one_of, session};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt as _, SeedableRng as _};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an ordinary test run takes for each target; `FUZZ_SECONDS` asks for more.
const SECONDS: u64 = 2;
/// Longest that one round may take before it counts as hanging: a round is some milliseconds of work.
const ROUND_MAX: Duration = Duration::from_secs(20);
/// Inputs kept because their outcome was new.
const KEPT_MAX: usize = 4_096;
/// Inputs of a round of frames.
const ROUND: u64 = 500;
/// Steps of one charger's life.
const STEPS: u64 = 150;

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
            panic!("fuzz {target} found a fault: FUZZ_SEED={seed} cargo test --lib fuzz::runs::{target}");
        };
        slowest = slowest.max(at.elapsed());
        assert!(
            slowest < ROUND_MAX,
            "a round took {slowest:?}: FUZZ_SEED={seed} cargo test --lib fuzz::runs::{target}"
        );
        (count, inputs) = (count + 1, inputs + made);
    }
    eprintln!("fuzz {target}: {inputs} inputs in {count} rounds, {:?}, slowest round {slowest:?}", begun.elapsed());
}

fn seed(rng: &mut dyn Rng) -> Vec<u8> {
    let words = mutate::words(rng);
    match rng.random_range(0..10) {
        0 => br#"[3,"7",{"status":"Accepted","configurationKey":[{"key":"a","readonly":true,"value":"1"}]}]"#.to_vec(),
        1 => br#"[4,"7","GenericError","no",{"a":[1]}]"#.to_vec(),
        2 => (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
        _ => mutate::call(rng, "7", &words).into_bytes(),
    }
}

#[test]
fn random_frames() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut seen = HashSet::new();
    let replays = std::env::var_os("FUZZ_SEED").is_some();
    rounds("random_frames", |rng| {
        for _ in 0..ROUND {
            // A seed alone must give the same round again, so that one which failed can be repeated: what was kept is
            // printed with a failure instead.
            let grown = !replays && !kept.is_empty() && rng.random_bool(0.5);
            let mut bytes = if grown { one_of(rng, &kept).clone() } else { seed(rng) };
            if rng.random_bool(0.9) {
                let other = seed(rng);
                mutate::mutate(rng, &mut bytes, &other);
            }
            let outcome = std::panic::catch_unwind(|| frame::read(&bytes));
            let Ok(outcome) = outcome else { panic!("this input: {:?}", String::from_utf8_lossy(&bytes)) };
            if kept.len() < KEPT_MAX && seen.insert(outcome) {
                kept.push(bytes);
            }
        }
        ROUND
    });
    assert!(replays || seen.len() > 40, "too few outcomes: {seen:?}");
}

#[test]
fn random_sessions() {
    rounds("random_sessions", |rng| {
        let mut life = session::Life::new(rng);
        (0..STEPS).for_each(|_| life.step());
        life.end();
        STEPS
    });
}

/// What guided runs found and grew (`fuzz/`): each input again, within the time of a round.
#[test]
fn the_corpus_of_the_guided_runs_is_replayed() {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 3] =
        [("frames", super::frames), ("sessions", super::sessions), ("strangers", super::strangers)];
    for (name, target) in targets {
        let mut replayed = 0;
        for kind in ["corpus", "finds"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(name);
            for file in std::fs::read_dir(folder).into_iter().flatten() {
                let path = file.unwrap().path();
                let (bytes, begun) = (std::fs::read(&path).unwrap(), Instant::now());
                assert!(catch_unwind(|| target(&bytes)).is_ok(), "{} is a fault again", path.display());
                assert!(begun.elapsed() < ROUND_MAX, "{} hangs", path.display());
                replayed += 1;
            }
        }
        assert!(replayed > 10, "the corpus of {name} was not found");
    }
}
