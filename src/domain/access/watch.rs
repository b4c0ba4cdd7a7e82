//! What counts as a sharp change of a key's habits (EM-4). Owns the habit of one key and the comparison; never who is told.
//!
//! A key that was stolen is used by somebody else: more often, from elsewhere, or for other things. Windows of a minute are
//! compared with a slow average of the windows with calls before them; where calls come from is remembered by network.
//! Nothing is said until the habit is known: [`Rule::windows_min`] windows, [`Rule::calls_min`] calls. After a start all
//! habits are learnt anew, so nothing is said for that long.

use crate::clock::Timestamp;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Networks that a key is known to call from; the one unused for longest is forgotten first.
const SOURCES_MAX: usize = 16;

/// What is sharp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Length of a window.
    pub window: Duration,
    /// Windows with calls that must be known before anything is said.
    pub windows_min: u32,
    /// Calls that must be known, and calls of a window that say anything about its rate or mix.
    pub calls_min: u64,
    /// A window of so many times the usual calls is a sharp change of rate.
    pub rate_factor: u64,
    /// A share of writes that differs by so much from the usual, in thousandths, is a sharp change of pattern.
    pub share_change: u64,
    /// The same change is told once in this time.
    pub quiet: Duration,
}

impl Default for Rule {
    /// A partner's day has peaks of five times its mean; ten times is none of them. A hundred calls give a share to a
    /// few hundredths.
    fn default() -> Self {
        Rule {
            window: Duration::from_secs(60),
            windows_min: 10,
            calls_min: 100,
            rate_factor: 10,
            share_change: 500,
            quiet: Duration::from_secs(3600),
        }
    }
}

/// A sharp change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// So many calls in one window, where so many are usual.
    Rate {
        /// In this window up to now.
        calls: u64,
        /// In a usual one.
        usual: u64,
    },
    /// From a network that the key was never used in.
    Source {
        /// The first address of the network: /24 of IPv4, /48 of IPv6.
        network: IpAddr,
    },
    /// Another mix of reads and writes.
    Pattern {
        /// Writes of this window's calls, in thousandths.
        writes: u64,
        /// As usual, in thousandths.
        usual: u64,
    },
}

impl Change {
    /// Its name, for metrics and alerts.
    pub const fn label(self) -> &'static str {
        match self {
            Change::Rate { .. } => "rate",
            Change::Source { .. } => "source",
            Change::Pattern { .. } => "pattern",
        }
    }

    const fn place(self) -> usize {
        match self {
            Change::Rate { .. } => 0,
            Change::Source { .. } => 1,
            Change::Pattern { .. } => 2,
        }
    }
}

/// Calls and writes of one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Window {
    number: i64,
    calls: u64,
    writes: u64,
}

/// How a key is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habit {
    now: Window,
    windows: u32,
    calls: u64,
    /// Thousandths of calls in a usual window.
    usual_calls: u64,
    /// Thousandths of calls that are writes in a usual window.
    usual_writes: u64,
    sources: VecDeque<IpAddr>,
    told: [Option<Timestamp>; 3],
}

/// The network that an address belongs to: what one site of a partner has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80))),
    }
}

/// A slow average: an eighth of the newest.
const fn blend(usual: u64, newest: u64) -> u64 {
    (usual * 7 + newest) / 8
}

impl Habit {
    /// Takes in one accepted call; what is sharply different about it.
    pub fn observe(&mut self, rule: &Rule, at: Timestamp, from: IpAddr, write: bool) -> Vec<Change> {
        self.turn(rule, at);
        self.now.calls += 1;
        self.now.writes += u64::from(write);
        let known = self.windows >= rule.windows_min && self.calls >= rule.calls_min;
        let source = self.came_from(network(from)).filter(|_| known);
        let found = [self.rate(rule).filter(|_| known), source, self.pattern(rule).filter(|_| known)];
        let fresh = found.into_iter().flatten();
        fresh.filter(|change| told(&mut self.told[change.place()], at, rule.quiet)).collect()
    }

    /// Ends the window if its time is over.
    fn turn(&mut self, rule: &Rule, at: Timestamp) {
        let length = i64::try_from(rule.window.as_millis()).unwrap_or(i64::MAX).max(1);
        let number = at.0.div_euclid(length);
        // A clock that goes back (S9) does not end a window.
        if number <= self.now.number {
            return;
        }
        let over = std::mem::replace(&mut self.now, Window { number, calls: 0, writes: 0 });
        if over.calls == 0 {
            return;
        }
        let (calls, writes) = (over.calls * 1000, over.writes * 1000 / over.calls);
        let first = self.windows == 0;
        self.usual_calls = if first { calls } else { blend(self.usual_calls, calls) };
        self.usual_writes = if first { writes } else { blend(self.usual_writes, writes) };
        self.windows = self.windows.saturating_add(1);
        self.calls = self.calls.saturating_add(over.calls);
    }

    /// Notes the network; it is returned if it is new.
    fn came_from(&mut self, network: IpAddr) -> Option<Change> {
        let at = self.sources.iter().position(|known| *known == network);
        if let Some(at) = at {
            self.sources.remove(at);
        }
        self.sources.push_front(network);
        self.sources.truncate(SOURCES_MAX);
        at.is_none().then_some(Change::Source { network })
    }

    fn rate(&self, rule: &Rule) -> Option<Change> {
        let calls = self.now.calls;
        let sharp = calls >= rule.calls_min && calls * 1000 > self.usual_calls * rule.rate_factor;
        sharp.then_some(Change::Rate { calls, usual: self.usual_calls.div_ceil(1000) })
    }

    fn pattern(&self, rule: &Rule) -> Option<Change> {
        let writes = self.now.writes * 1000 / self.now.calls.max(1);
        let sharp = self.now.calls >= rule.calls_min && writes.abs_diff(self.usual_writes) >= rule.share_change;
        sharp.then_some(Change::Pattern { writes, usual: self.usual_writes })
    }
}

/// Whether it is to be told; if so it is noted.
fn told(last: &mut Option<Timestamp>, at: Timestamp, quiet: Duration) -> bool {
    let tell = last.is_none_or(|last| at.since(last) >= quiet);
    if tell {
        *last = Some(at);
    }
    tell
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.10";
    const MINUTE: i64 = 60_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// `calls` in the minute `n`, every `nth` of them a write.
    fn minute(habit: &mut Habit, n: i64, calls: u64, nth: u64, from: &str) -> Vec<Change> {
        let step = |call: u64| Timestamp(n * MINUTE + i64::try_from(call * 60_000 / calls).unwrap());
        let one = |call| habit.observe(&Rule::default(), step(call), ip(from), call % nth == 0);
        (0..calls).flat_map(one).collect()
    }

    /// Twenty usual minutes: 20 calls, a tenth of them writes.
    fn usual() -> Habit {
        let mut habit = Habit::default();
        for n in 1..=20 {
            assert_eq!(minute(&mut habit, n, 20, 10, HOME), [], "minute {n}");
        }
        habit
    }

    #[test]
    fn what_is_sharp_is_told_and_what_is_usual_is_not() {
        let labels = |calls, nth, from: &str| -> Vec<&str> {
            minute(&mut usual(), 21, calls, nth, from).into_iter().map(Change::label).collect()
        };
        for (calls, nth, from, told) in [
            (20, 10, HOME, &[][..]),
            (190, 10, HOME, &[]),
            (210, 10, HOME, &["rate"]),
            (20, 10, "192.0.2.200", &[]),
            (20, 10, "192.0.3.10", &["source"]),
            (20, 10, "2001:db8::1", &["source"]),
            (20, 1, HOME, &[]),
            (150, 1, HOME, &["pattern"]),
            (150, 2, HOME, &[]),
            (400, 1, "198.51.100.1", &["source", "pattern", "rate"]),
        ] {
            assert_eq!(labels(calls, nth, from), told, "{calls} {nth} {from}");
        }
    }

    #[test]
    fn a_change_tells_its_figures() {
        assert_eq!(minute(&mut usual(), 21, 201, 10, HOME), [Change::Rate { calls: 201, usual: 20 }]);
        let network = ip("2001:db8:1::");
        assert_eq!(minute(&mut usual(), 21, 1, 10, "2001:db8:1:2::3"), [Change::Source { network }]);
    }

    #[test]
    fn nothing_is_said_before_the_habit_is_known() {
        let mut habit = Habit::default();
        for n in 1..=10 {
            assert_eq!(minute(&mut habit, n, 500, 1, &format!("10.0.{n}.1")), [], "minute {n}");
        }
        assert_eq!(minute(&mut habit, 11, 1, 1, "10.1.0.1").len(), 1, "now it is");
    }

    #[test]
    fn the_same_change_is_told_once_an_hour() {
        let mut habit = usual();
        let told: Vec<usize> = (21..=90)
            .map(|n| minute(&mut habit, n, 1, 10, &format!("10.{n}.0.1")).len())
            .scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n) + n))
            .collect();
        assert_eq!((told[0], told[59], told[60], told[69]), (1, 1, 2, 2));
    }

    #[test]
    fn a_slow_rise_is_a_habit_and_no_alarm() {
        let mut habit = usual();
        let mut calls = 20;
        for n in 21..=80 {
            calls += calls / 10 + 1;
            assert_eq!(minute(&mut habit, n, calls, 10, HOME), [], "minute {n}, {calls} calls");
            if calls > 2000 {
                return;
            }
        }
        panic!("it never rose");
    }

    #[test]
    fn memory_is_bounded_and_a_clock_that_goes_back_does_no_harm() {
        let mut habit = usual();
        for n in 0..1000_u32 {
            habit.observe(&Rule::default(), Timestamp(-i64::from(n)), IpAddr::from(n.to_be_bytes()), false);
        }
        assert!(habit.sources.len() <= SOURCES_MAX);
    }
}
