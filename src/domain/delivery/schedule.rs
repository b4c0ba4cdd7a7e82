//! When a failed delivery is tried again (EM-8). Owns the arithmetic, on the `Backoff` trait of the crate `backoff`, and is
//! the only place that knows that crate; never reads a clock or draws a random number.

use super::policy::Policy;
use backoff::backoff::Backoff;
use std::time::Duration;

/// A list of waits with jitter: step `next`, then the one after, until none is left.
#[derive(Debug)]
struct Steps<'a> {
    steps: &'a [Duration],
    next: usize,
    jitter: f64,
    fraction: f64,
}

impl Backoff for Steps<'_> {
    fn reset(&mut self) {
        self.next = 0;
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        let step = *self.steps.get(self.next)?;
        self.next += 1;
        // Jitter only adds: nothing is tried earlier than promised.
        Some(step.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) * self.fraction.clamp(0.0, 1.0)))
    }
}

/// The wait after the `failures`-th failure in a row (from 1), or `None` after the last try. A `Retry-After` can only make
/// it longer, up to [`Policy::retry_after_max`]: one that is shorter than the step would burn the tries in minutes.
pub fn wait_after(failures: u16, policy: &Policy, retry_after: Option<Duration>, fraction: f64) -> Option<Duration> {
    wait_in(&policy.schedule, failures, policy, retry_after, fraction)
}

/// As [`wait_after`], by a partner's own waits.
pub fn wait_in(
    waits: &[Duration],
    failures: u16,
    policy: &Policy,
    retry_after: Option<Duration>,
    fraction: f64,
) -> Option<Duration> {
    let next = usize::from(failures).saturating_sub(1);
    let step = Steps { steps: waits, next, jitter: policy.jitter, fraction }.next_backoff()?;
    Some(step.max(retry_after.unwrap_or_default().min(policy.retry_after_max)))
}

/// The `n`-th number in `[0, 1)` that follows from a step's entropy (splitmix64: distinct `n` are independent).
pub fn fraction(entropy: u128, n: usize) -> f64 {
    let seed = (entropy ^ (entropy >> 64)) as u64;
    let mut z = seed.wrapping_add((n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_that_of_em_8_and_then_over() {
        let policy = Policy { jitter: 0.0, ..Policy::default() };
        let minutes: Vec<_> =
            (1..=9).map(|n| wait_after(n, &policy, None, 0.7).map(|wait| wait.as_secs() / 60)).collect();
        let expected = [1, 5, 15, 60, 180, 360, 720, 1440].map(Some);
        assert_eq!(minutes[..8], expected);
        assert_eq!(minutes[8], None);
    }

    #[test]
    fn jitter_only_adds_and_stays_within_its_part() {
        let policy = Policy::default();
        let step = Duration::from_secs(60);
        for n in 0..1000 {
            let wait = wait_after(1, &policy, None, fraction(0xdead_beef, n)).unwrap();
            assert!(wait >= step && wait <= step.mul_f64(1.1), "{wait:?}");
        }
        assert_eq!(wait_after(1, &policy, None, 0.5), Some(Duration::from_secs(63)));
    }

    #[test]
    fn retry_after_lengthens_a_wait_within_its_bound_and_never_shortens_it() {
        let policy = Policy { jitter: 0.0, ..Policy::default() };
        for (failures, asked, expected) in
            [(1, 5, 60), (1, 90, 90), (2, 90, 300), (1, 10_000_000, 86_400), (8, 5, 86_400)]
        {
            let wait = wait_after(failures, &policy, Some(Duration::from_secs(asked)), 0.0);
            assert_eq!(wait, Some(Duration::from_secs(expected)), "{failures} {asked}");
        }
        assert_eq!(wait_after(9, &policy, Some(Duration::from_secs(5)), 0.0), None);
    }

    #[test]
    fn a_partners_own_waits_count_in_place_of_the_policys() {
        let policy = Policy { jitter: 0.0, ..Policy::default() };
        let waits = [15, 15, 30].map(Duration::from_secs);
        let told: Vec<_> = (1..=4).map(|n| wait_in(&waits, n, &policy, None, 0.0).map(|wait| wait.as_secs())).collect();
        assert_eq!(told, [Some(15), Some(15), Some(30), None]);
    }

    #[test]
    fn fractions_of_one_step_differ_and_are_spread() {
        let drawn: Vec<f64> = (0..1000).map(|n| fraction(7, n)).collect();
        let mean = drawn.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert!(drawn.iter().all(|f| (0.0..1.0).contains(f)));
    }
}
