//! The offline checker: histories of chargers, partner and sink, and the server's answers at the end, to a verdict.
//!
//! Owns the promise in one place (faults-and-security B4: I1 to I4, I8). [`check`] is a pure function; `collect` asks the
//! server. Invariant: an unknown outcome is held to nothing but "at most once".

mod chargers;
mod collect;
mod events;
mod writes;

#[cfg(test)]
mod tests;

pub use collect::{ask_server, joined, load, store};

use crate::history::{ChargerRecord, PartnerRecord, SinkRecord, Stamped};
use crate::partner::{Event, Operation, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the outside world saw.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// `chargers.jsonl`.
    pub chargers: Vec<Stamped<ChargerRecord>>,
    /// `partner.jsonl`.
    pub partner: Vec<Stamped<PartnerRecord>>,
    /// `sink.jsonl`.
    pub sink: Vec<Stamped<SinkRecord>>,
}

/// What the server says once all is quiet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ServerAnswers {
    /// All sessions, from the operator API.
    pub sessions: Vec<Session>,
    /// One for each of the partner's writes that the server knows.
    pub operations: Vec<Operation>,
    /// `GET /events` from the oldest on.
    pub events: Vec<Event>,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A start or stop answered 202 is unknown to the server (I1).
    WriteLost,
    /// One request id has two sessions (I2).
    WriteDoubled,
    /// A request refused for good happened after all.
    RefusedYetDone,
    /// A request answered 202 has no final outcome (I12).
    OperationHangs,
    /// A transaction message that the server confirmed is in no session (I1).
    FactLost,
    /// One transaction of a charger got two ids, or two got one, or one id has two sessions (CH-7, I8).
    FactDoubled,
    /// A charger had to give a transaction message up (RT-8).
    FactDiscarded,
    /// A session is not ended though its stop was confirmed.
    StopLost,
    /// A session is open though its charger is idle.
    SessionHangs,
    /// The energy of an ended session is not what the register says.
    EnergyWrong,
    /// Two sessions are open at one connector (I4).
    ConnectorDoubled,
    /// An event never reached the sink (I3).
    EventLost,
    /// The sink was sent an event that the server does not have: it left before it was durable.
    EventUnfounded,
    /// Two events have one place, or one event has two (I3).
    EventDoubled,
    /// An event arrived before its predecessor was accepted (EM-8).
    EventReordered,
    /// A number is missing between an order key's events (EM-8).
    EventGap,
    /// A signature did not hold (EM-9).
    SignatureWrong,
    /// A payment that the server acknowledged, or that the gateway knows, is not in the books (MO-3).
    PaymentLost,
    /// A payment counts twice (MO-3).
    PaymentDoubled,
    /// A balance is not what came in less what was taken (MO-1).
    BalanceWrong,
    /// Money is frozen though everything is at rest (MO-4).
    MoneyFrozen,
    /// What an order took is not its bill (MO-4).
    OrderWrong,
    /// An order is not at its end though everything is at rest (SE-15).
    OrderHangs,
    /// A reservation is in no final state, or did not become the one session it says (RS-3, SE-15).
    ReservationWrong,
    /// The books did not verify after a kill (MO-1).
    BooksWrong,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// What.
    pub kind: Kind,
    /// Of whom: a request, session, charger or event.
    pub subject: String,
    /// The evidence.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = serde_json::to_string(&self.kind).unwrap_or_default();
        write!(f, "{} {}: {}", kind.trim_matches('"'), self.subject, self.detail)
    }
}

/// What was counted on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Partner starts answered 202, and how many of them the server has.
    pub starts_acknowledged: usize,
    /// See above.
    pub starts_found: usize,
    /// Partner stops answered 202, and how many of them the server has.
    pub stops_acknowledged: usize,
    /// See above.
    pub stops_found: usize,
    /// Writes without a binding answer.
    pub writes_unknown: usize,
    /// StartTransactions confirmed with an accepted token, and how many have their session.
    pub transactions_acknowledged: usize,
    /// See above.
    pub transactions_found: usize,
    /// StopTransactions confirmed, and how many sessions they ended.
    pub transaction_stops_acknowledged: usize,
    /// See above.
    pub transaction_stops_found: usize,
    /// Sessions whose energy was compared with the register.
    pub energies_compared: usize,
    /// Ordered events that the sink accepted, each id once.
    pub events_received: usize,
    /// Deliveries of an id accepted before: at least once is by design.
    pub duplicate_deliveries: usize,
    /// Transaction messages sent again, as chargers do.
    pub repeated_facts: usize,
    /// Sessions open at a charger that still charges.
    pub still_running: usize,
}

/// The outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// The counts.
    pub figures: Figures,
    /// Everything that is wrong, sorted.
    pub violations: Vec<Violation>,
}

impl Verdict {
    pub(crate) fn add(&mut self, kind: Kind, subject: impl Into<String>, detail: impl Into<String>) {
        self.violations.push(Violation { kind, subject: subject.into(), detail: detail.into() });
    }

    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let f = &self.figures;
        let found = format!(
            "starts {}/{}, stops {}/{}, transactions {}/{}, ends {}/{}, energies {}, events {}, \
             duplicates by design {} + {}, unknown outcomes {}",
            f.starts_found,
            f.starts_acknowledged,
            f.stops_found,
            f.stops_acknowledged,
            f.transactions_found,
            f.transactions_acknowledged,
            f.transaction_stops_found,
            f.transaction_stops_acknowledged,
            f.energies_compared,
            f.events_received,
            f.duplicate_deliveries,
            f.repeated_facts,
            f.writes_unknown,
        );
        if self.holds() {
            return format!("verified: {found}, no violation");
        }
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        self.violations.iter().for_each(|v| *kinds.entry(v.kind).or_default() += 1);
        format!("NOT verified: {} violations {kinds:?}; {found}", self.violations.len())
    }
}

/// Judges a run.
pub fn check(histories: &Histories, server: &ServerAnswers) -> Verdict {
    let mut verdict = Verdict::default();
    let idle = chargers::check(&histories.chargers, server, &mut verdict);
    writes::check(&histories.partner, server, &mut verdict);
    chargers::check_open(server, &idle, &mut verdict);
    events::check(&histories.sink, server, &mut verdict);
    writes::check_told(&histories.partner, &histories.sink, server, &mut verdict);
    verdict.violations.sort();
    verdict.violations.dedup();
    verdict
}
