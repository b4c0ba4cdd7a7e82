//! The sink's side: every ordered event at least once under one id, in order, without a gap, signed.

use super::{Kind, ServerAnswers, Verdict};
use crate::history::{SinkRecord, Stamped};
use crate::partner::Event;
use std::collections::{BTreeMap, HashMap, HashSet};

/// One event as the sink saw it.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    id: &'a str,
    first_arrival: u64,
    accepted: Option<u64>,
}

pub(super) fn check(records: &[Stamped<SinkRecord>], server: &ServerAnswers, verdict: &mut Verdict) {
    let mut keys: BTreeMap<&str, BTreeMap<u64, Seen<'_>>> = BTreeMap::new();
    let mut places: HashMap<&str, (&str, Option<u64>)> = HashMap::new();
    let mut accepted: HashSet<&str> = HashSet::new();
    for record in records {
        let SinkRecord::Delivery { event_id, order_key, sequence, verified, answer, arrival, answered, .. } =
            &record.it;
        if !verified {
            verdict.add(Kind::SignatureWrong, event_id, "the signature does not hold");
        }
        let place = (order_key.as_str(), *sequence);
        let before = places.insert(event_id, place).filter(|b| *b != place);
        if let Some(before) = before {
            verdict.add(Kind::EventDoubled, event_id, format!("came as {before:?} and as {place:?}"));
        }
        let good = (200..300).contains(answer);
        if good && !accepted.insert(event_id) {
            verdict.figures.duplicate_deliveries += 1;
        }
        if let Some(sequence) = sequence {
            let fresh = Seen { id: event_id, first_arrival: *arrival, accepted: None };
            let seen = keys.entry(order_key).or_default().entry(*sequence).or_insert(fresh);
            if seen.id != event_id {
                let detail = format!("{order_key} {sequence} is also {}", seen.id);
                verdict.add(Kind::EventDoubled, event_id, detail);
            }
            seen.first_arrival = seen.first_arrival.min(*arrival);
            if good {
                seen.accepted = Some(seen.accepted.map_or(*answered, |a| a.min(*answered)));
            }
        }
    }
    for (key, events) in &keys {
        verdict.figures.events_received += events.values().filter(|s| s.accepted.is_some()).count();
        in_order(key, events, verdict);
    }
    let kept: HashSet<&str> = server.events.iter().map(|e| e.id.as_str()).collect();
    for (id, (key, _)) in places.iter().filter(|(id, _)| !kept.contains(*id)) {
        verdict.add(Kind::EventUnfounded, *id, format!("{key}: the server does not have it"));
    }
    newest_states(server, &accepted, verdict);
    for event in server.events.iter().filter(|e| e.sequence.is_some()) {
        if !accepted.contains(event.id.as_str()) {
            let place = format!("{:?} {:?}", event.order_key, event.sequence);
            verdict.add(Kind::EventLost, &event.id, format!("{} {place} was never accepted", event.event_type));
        }
    }
}

/// Of events without a number the newest of a key replaces the others; it has to arrive.
fn newest_states(server: &ServerAnswers, accepted: &HashSet<&str>, verdict: &mut Verdict) {
    let unnumbered = server.events.iter().filter(|e| e.sequence.is_none());
    let newest: HashMap<&str, &Event> = unnumbered.filter_map(|e| Some((e.order_key.as_deref()?, e))).collect();
    for (key, event) in newest.into_iter().filter(|(_, e)| !accepted.contains(e.id.as_str())) {
        let detail = format!("{} of {key}, the newest, was never accepted", event.event_type);
        verdict.add(Kind::EventLost, &event.id, detail);
    }
}

fn in_order(key: &str, events: &BTreeMap<u64, Seen<'_>>, verdict: &mut Verdict) {
    let mut expected = 1;
    let mut before: Option<Seen<'_>> = None;
    for (sequence, seen) in events {
        if *sequence != expected {
            verdict.add(Kind::EventGap, key, format!("{expected} is missing before {sequence}"));
        } else if let Some(before) = before
            && before.accepted.is_none_or(|accepted| accepted > seen.first_arrival)
        {
            verdict.add(Kind::EventReordered, key, format!("{sequence} arrived before {} was accepted", sequence - 1));
        }
        expected = sequence + 1;
        before = Some(*seen);
    }
}
