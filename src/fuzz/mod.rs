//! Arbitrary input against what strangers reach: [`frames`] reads frames, [`sessions`] lets whole lives of a charger reach
//! the rules, [`strangers`] reads what comes before a login. Each takes bytes and panics at a fault. Never a rule.
//!
//! Two drivers call them: `fuzz/` (libFuzzer, guided by coverage: `cargo xtask fuzz --guided`) and `runs`, the random runs
//! and the replay of the corpus in every `cargo test` (`cargo xtask fuzz` for longer ones).

mod choices;
mod frame;
mod mutate;
#[cfg(test)]
mod runs;
mod session;
mod stranger;

use rand::{Rng, RngExt as _};

/// The most steps of a life: an input of 4 KiB has no more.
const STEPS_MAX: usize = 1_000;

/// One frame, as the socket reads it. Panics at a fault.
pub fn frames(bytes: &[u8]) {
    frame::read(bytes);
}

/// A charger's life; each choice in it is made by the next bytes, and it ends with them. Panics at a fault.
pub fn sessions(bytes: &[u8]) {
    let mut life = session::Life::new(choices::Choices::new(bytes));
    for _ in 0..STEPS_MAX {
        if life.rng.is_over() {
            break;
        }
        life.step();
    }
    life.end();
}

/// What a stranger sends: the head of a handshake, the headers of frames. Panics at a fault.
pub fn strangers(bytes: &[u8]) {
    stranger::head(bytes);
    stranger::watch(bytes);
}

fn one_of<'a, T>(rng: &mut dyn Rng, list: &'a [T]) -> &'a T {
    &list[rng.random_range(0..list.len())]
}
