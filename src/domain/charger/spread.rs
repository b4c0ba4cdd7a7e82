//! How a fleet that comes back in one instant is kept from speaking in chorus (CH-5). Pure: the share comes from the
//! entropy of the step, so that a replay gives the same.

use std::time::Duration;

/// An interval that a charger is given: lengthened by up to `percent` of itself, never shortened, in whole seconds, since
/// that is what BootNotification.conf carries. `share` is in `[0, 1)`.
pub(super) fn interval(base: Duration, percent: u8, share: f64) -> Duration {
    let most = f64::from(percent) / 100.0;
    Duration::from_secs(base.mul_f64(1.0 + share.clamp(0.0, 1.0) * most).as_secs())
}

/// The wait before a call that nobody asked for (boot or status after a reconnect): evenly within
/// `window`.
pub(super) fn wait(window: Duration, share: f64) -> Duration {
    window.mul_f64(share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_lengthened_by_their_share_and_whole() {
        let s = Duration::from_secs;
        for (base, percent, share, expected) in [
            (s(300), 10, 0.0, s(300)),
            (s(300), 10, 0.5, s(315)),
            (s(300), 10, 0.999, s(329)),
            (s(300), 0, 0.9, s(300)),
            (s(60), 100, 0.5, s(90)),
            (s(10), 10, 0.9, s(10)),
            (s(300), 10, -1.0, s(300)),
            (s(300), 10, 7.0, s(330)),
            (s(0), 100, 0.5, s(0)),
        ] {
            assert_eq!(interval(base, percent, share), expected, "{base:?} {percent} {share}");
        }
    }

    #[test]
    fn waits_lie_within_their_window() {
        let ms = Duration::from_millis;
        for (window, share, expected) in
            [(ms(5000), 0.0, ms(0)), (ms(5000), 0.5, ms(2500)), (ms(0), 0.9, ms(0)), (ms(5000), 2.0, ms(5000))]
        {
            assert_eq!(wait(window, share), expected, "{window:?} {share}");
        }
    }

    #[test]
    fn a_fleet_that_boots_in_one_instant_does_not_beat_in_step() {
        let mut each_second = std::collections::BTreeMap::<u64, u32>::new();
        let fleet = 15_000_u32;
        for n in 0..fleet {
            let due = interval(Duration::from_secs(300), 10, f64::from(n) / f64::from(fleet));
            *each_second.entry(due.as_secs()).or_default() += 1;
        }
        let most = each_second.values().max().copied();
        assert!(most.is_some_and(|most| most <= fleet / 30 + 1), "{each_second:?}");
    }
}
