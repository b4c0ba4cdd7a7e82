//! The kinds of rounds and their count. Owns which comes when and whether each moment was really hit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// At any moment under load.
    Load,
    /// Besides, another server was making its data directory.
    Creation,
    /// A commit that removes what is past its retention.
    Compaction,
    /// A commit with a snapshot.
    Snapshot,
    /// The list of the store's pages was written, or used.
    Pages,
    /// `chargeline journal compact` was making its copy.
    Folding,
    /// The server was recovering from the cut before.
    Recovery,
    /// A commit was written and not synced; then part of it is destroyed as a disk might.
    Torn,
    /// Under load; then one bit of a copy is flipped.
    Flipped,
}

impl Kind {
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Load,
        Kind::Creation,
        Kind::Compaction,
        Kind::Snapshot,
        Kind::Pages,
        Kind::Folding,
        Kind::Recovery,
        Kind::Torn,
        Kind::Flipped,
    ];

    /// The kind of a round, from 0 on.
    pub(crate) fn of(round: u32) -> Kind {
        const TURN: [Kind; 12] = [
            Kind::Load,
            Kind::Creation,
            Kind::Torn,
            Kind::Compaction,
            Kind::Load,
            Kind::Snapshot,
            Kind::Flipped,
            Kind::Pages,
            Kind::Creation,
            Kind::Recovery,
            Kind::Load,
            Kind::Folding,
        ];
        TURN[usize::try_from(round).unwrap_or(0) % TURN.len()]
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Load => "under load",
            Kind::Creation => "creation",
            Kind::Compaction => "compaction",
            Kind::Snapshot => "snapshot",
            Kind::Pages => "list of pages",
            Kind::Folding => "offline compaction",
            Kind::Recovery => "recovery",
            Kind::Torn => "torn tail",
            Kind::Flipped => "flipped bit",
        }
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Rounds of each kind, and those that hit their moment.
    rounds: BTreeMap<Kind, (u32, u32)>,
    /// Other things that happened, by name.
    seen: BTreeMap<String, u32>,
    ready: Vec<Duration>,
}

impl Tally {
    pub(crate) fn round(&mut self, kind: Kind, hit: bool) {
        let (rounds, hits) = self.rounds.entry(kind).or_default();
        *rounds += 1;
        *hits += u32::from(hit);
    }

    pub(crate) fn saw(&mut self, what: impl Into<String>) {
        *self.seen.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn count(&self, what: &str) -> u32 {
        self.seen.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn ready(&mut self, took: Duration) {
        self.ready.push(took);
    }

    pub(crate) fn all_rounds(&self) -> u32 {
        self.rounds.values().map(|(rounds, _)| rounds).sum()
    }

    /// Kinds of which there were rounds, and none hit.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.rounds.iter().filter(|(_, (_, hits))| *hits == 0).map(|(kind, _)| kind.name()).collect()
    }

    /// Rounds by kind, for people.
    pub(crate) fn kinds(&self) -> String {
        let mut line = String::new();
        for kind in Kind::ALL {
            if let Some((rounds, hits)) = self.rounds.get(&kind) {
                let comma = if line.is_empty() { "" } else { ", " };
                let _ = write!(line, "{comma}{} {hits} of {rounds}", kind.name());
            }
        }
        line
    }

    /// What else was seen, for people.
    pub(crate) fn sights(&self) -> String {
        self.seen.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// The median and the longest time from start to ready.
    pub(crate) fn readiness(&mut self) -> (Duration, Duration) {
        self.ready.sort_unstable();
        let at = |place: usize| self.ready.get(place).copied().unwrap_or_default();
        (at(self.ready.len() / 2), at(self.ready.len().saturating_sub(1)))
    }
}
