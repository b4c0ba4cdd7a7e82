//! StopTransaction: known, repeated, contradicting, of an unknown transaction, before its start, unreadable: always
//! confirmed, never dropped (CH-7, CH-1).

use super::facts::{StopFact, Tag, Verdict, print};
use super::state::{OrphanStop, Recent};
use super::transaction_start::time_key;
use super::{ChargerStep, Event, Purpose, WireTime, queue, subject, to_session};
use crate::domain::charging::{Case, Level, Reply};
use crate::domain::session::{self, Ending, Flag};
use crate::ids::TransactionId;

/// Stands for the message id of a stop that was joined with its start by its content.
pub(super) const JOINED: u64 = 0;

fn content(fact: &StopFact) -> u64 {
    let meter = fact.meter_stop_wh.map_or_else(String::new, |meter| meter.to_string());
    print(&["stop", &fact.transaction.to_string(), &time_key(&fact.at), &meter])
}

/// StopTransaction.
pub(super) fn ended(step: &mut ChargerStep<'_>, fact: StopFact) -> Reply {
    let stop = content(&fact);
    let message = print(&["message", &fact.message_id]);
    let verdict = fact.tag.as_ref().map(verdict_of);
    match known(step, &fact) {
        Some((recent, missing_id)) => match recent.stop {
            None => end(step, &recent, fact, (stop, message), missing_id),
            // The same again, after a lost answer.
            Some((known, _)) if known == stop => {}
            // The join was a guess; this is the transaction's own stop.
            Some((_, JOINED)) => end(step, &recent, fact, (stop, message), missing_id),
            Some(_) => contradicts(step, &recent, fact),
        },
        None => orphan(step, &fact, stop),
    }
    Reply::TransactionStopped(verdict)
}

fn verdict_of(tag: &Tag) -> Verdict {
    match tag {
        Tag::Remote(_) => Verdict::Accepted,
        Tag::Token(info) => info.verdict,
    }
}

/// The transaction that a stop means. Some chargers that never got the start's answer send 0 or -1: then it is the one
/// running transaction that the stop fits.
fn known(step: &ChargerStep<'_>, fact: &StopFact) -> Option<(Recent, bool)> {
    if fact.transaction.0 > 0 {
        let known = step.state.recent.iter().rev().find(|recent| recent.transaction == fact.transaction);
        return known.map(|recent| (recent.clone(), false));
    }
    let tag = fact.tag.as_ref().map(Tag::print);
    let fits = |recent: &&Recent| {
        recent.stop.is_none()
            && step.state.live_transaction(recent.transaction).is_some()
            && tag.is_none_or(|tag| tag == recent.tag)
            && fact.meter_stop_wh.is_some_and(|meter| meter >= recent.meter_start_wh)
    };
    let mut fitting = step.state.recent.iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Some((one.clone(), true)),
        (None, _) | (Some(_), Some(_)) => None,
    }
}

fn end(step: &mut ChargerStep<'_>, recent: &Recent, fact: StopFact, stop: (u64, u64), missing_id: bool) {
    let mut flags = Vec::new();
    let prints = |r: &Recent| r.start_message == stop.1 || r.stop.is_some_and(|(_, message)| message == stop.1);
    if step.state.recent.iter().any(prints) {
        flags.push(Flag::MessageIdReused);
    }
    if missing_id {
        flags.push(Flag::TransactionIdMissing);
    }
    if fact.flaw.is_some() {
        flags.push(Flag::SchemaBroken);
    }
    step.emit(Event::TransactionEnded { transaction: recent.transaction, stop });
    queue::drop_waiting(step, &Purpose::Stop(recent.session));
    let (meter_stop_wh, at, reason, data) = (fact.meter_stop_wh, fact.at, fact.reason, fact.data);
    let ending = Ending { meter_stop_wh, at, reason, data, flags };
    to_session(step, recent.session, session::Command::EndedByCharger(Box::new(ending)));
}

/// A second, other stop of a transaction that is over: the first one stands, the other is kept for a person.
fn contradicts(step: &mut ChargerStep<'_>, recent: &Recent, fact: StopFact) {
    let id = recent.transaction;
    let text = format!("transaction {id} was stopped again with other content; the first stop stands");
    let case = Case::alert(Level::Warning, "stop_contradicts", subject(step), text);
    step.raise(case.ticket("compare both meter values with the charger's own log").with(&evidence(&fact)));
}

fn evidence(fact: &StopFact) -> String {
    let meter = fact.meter_stop_wh.map_or_else(|| "unreadable".to_owned(), |meter| meter.to_string());
    let tag = fact.tag.as_ref().map_or(0, Tag::print);
    format!(
        "transaction {}, meter {meter} Wh, at {}, reason {:?}, tag print {tag:016x}, message {}, {} samples",
        fact.transaction,
        fact.at.raw.escape_debug(),
        fact.reason,
        fact.message_id.escape_debug(),
        fact.data.len()
    )
}

/// A stop whose start is not known: kept, and joined with the start if that comes later.
fn orphan(step: &mut ChargerStep<'_>, fact: &StopFact, content: u64) {
    if step.state.orphans.iter().any(|orphan| orphan.content == content) {
        return;
    }
    let received = step.context.now;
    let at = fact.at.plausible(received, &step.context.ambient.policy.charger);
    let tag = fact.tag.as_ref().map(Tag::print);
    let (meter_stop_wh, reason) = (fact.meter_stop_wh, fact.reason);
    step.emit(Event::StopOrphaned(OrphanStop { content, tag, received, at, meter_stop_wh, reason }));
    let text = format!("a stop of transaction {}, which is not known, was confirmed", shown(fact.transaction));
    let case = Case::alert(Level::Warning, "stop_of_unknown_transaction", subject(step), text);
    step.raise(case.ticket("find the consumption's owner, or close").with(&evidence(fact)));
}

fn shown(transaction: TransactionId) -> String {
    match transaction.0 {
        id if id > 0 => id.to_string(),
        id => format!("{id} (no id)"),
    }
}

/// The ending that an orphan stands for.
pub(super) fn ending_of_orphan(orphan: &OrphanStop) -> session::Command {
    // Joined only where its time could be believed.
    let at = orphan.at.unwrap_or(orphan.received);
    let at = WireTime { raw: at.to_rfc3339().into(), at: Some(at) };
    let (meter_stop_wh, reason) = (orphan.meter_stop_wh, orphan.reason);
    let flags = vec![Flag::StopBeforeStart];
    session::Command::EndedByCharger(Box::new(Ending { meter_stop_wh, at, reason, data: Vec::new(), flags }))
}

/// A transaction message that cannot be read: a person must.
pub(super) fn unreadable(step: &mut ChargerStep<'_>, action: &str, bytes: &str, why: &str) {
    let text = format!("a {} could not be read: {}", action.escape_debug(), why.escape_debug());
    let case = Case::alert(Level::Critical, "transaction_message_unreadable", subject(step), text);
    step.raise(case.ticket("read the message by hand and settle its session").with(bytes));
}
