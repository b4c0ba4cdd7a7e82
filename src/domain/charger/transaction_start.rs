//! Authorize and StartTransaction: every start is recorded and answered with an id of its own, its repeats with the
//! same one (CH-7); whose it is decides what becomes of it (SE-5, SE-16).

use super::facts::{StartFact, Tag, Verdict, print};
use super::state::{FailedStart, Live, OrphanStop, Recent, STRAYS_MAX};
use super::transaction_stop::JOINED;
use super::{
    ChargerStep, Event, Purpose, WireTime, holds, queue, sessions, status, subject, to_session, transaction_stop,
};
use crate::clock::Timestamp;
use crate::domain::charging::{Case, Level, Reply};
use crate::domain::session::{self, Beginning, Failure, Flag, Owner};
use crate::ids::{ConnectorId, SessionId, TransactionId};

/// Authorize: a remote start's tag is good as long as its start is awaited (SE-16).
pub(super) fn authorize(step: &ChargerStep<'_>, tag: &Tag) -> Reply {
    let verdict = match tag {
        Tag::Remote(text) => match awaited(step, text) {
            Some(_) => Verdict::Accepted,
            None => Verdict::Invalid,
        },
        // Out of offer or held for others, unless the card may be here to stop what runs (CH-9).
        Tag::Token(info) if idle(step) => in_maintenance(step, holds::authorize(step, info)),
        Tag::Token(info) => info.verdict,
    };
    Reply::Authorized { verdict, parent: holds::parent(step, tag) }
}

fn idle(step: &ChargerStep<'_>) -> bool {
    step.state.live.iter().all(|live| live.transaction.is_none())
}

/// No new orders while in maintenance (CH-9).
fn in_maintenance(step: &ChargerStep<'_>, verdict: Verdict) -> Verdict {
    match (verdict, step.state.maintenance.is_some()) {
        (Verdict::Accepted, true) => Verdict::Invalid,
        (verdict, _) => verdict,
    }
}

fn same_tag(known: Option<&str>, text: &str) -> bool {
    known.is_some_and(|known| known.eq_ignore_ascii_case(text))
}

/// The start that this tag stands for.
fn awaited(step: &ChargerStep<'_>, text: &str) -> Option<Live> {
    let mut live = step.state.live.iter().filter(|live| live.transaction.is_none());
    live.find(|live| same_tag(live.id_tag.as_deref(), text)).cloned()
}

fn failed(step: &ChargerStep<'_>, text: &str) -> Option<FailedStart> {
    step.state.failed.iter().find(|failed| same_tag(Some(&failed.id_tag), text)).cloned()
}

/// How a moment is compared: as read, or as written where it cannot be read.
pub(super) fn time_key(at: &WireTime) -> String {
    at.at.map_or_else(|| at.raw.to_string(), |at| at.0.to_string())
}

fn content(fact: &StartFact) -> u64 {
    let tag = fact.tag.print().to_string();
    print(&["start", &fact.connector.to_string(), &tag, &time_key(&fact.at), &fact.meter_start_wh.to_string()])
}

/// Transaction ids that a restore from backup jumps ahead: more than any charger begins between two backups.
const JUMP: i32 = 1_000_000;

/// The id of the transaction that begins. In another journal than that in which the ids counted so far, a backup was
/// restored: the charger may know ids that this journal does not, and none of them may be given again (CH-7).
fn next_transaction(step: &mut ChargerStep<'_>) -> TransactionId {
    let epoch = step.context.ambient.epoch;
    if step.state.epoch != epoch {
        let next = step.state.next_transaction.checked_add(JUMP).unwrap_or(JUMP);
        step.emit(Event::TransactionsJumped { next, epoch });
    }
    TransactionId(step.state.next_transaction.max(1))
}

/// StartTransaction.
pub(super) fn began(step: &mut ChargerStep<'_>, fact: StartFact) -> Reply {
    let start = content(&fact);
    let message = print(&["message", &fact.message_id]);
    let timed = fact.at.plausible(step.context.now, &step.context.ambient.policy.charger).is_some();
    if let Some(known) = repeat(step, start, message, timed) {
        return Reply::TransactionStarted { transaction: known.transaction, verdict: known.verdict };
    }
    if let Some(known) = contradicted(step, &fact, timed) {
        let command = session::Command::StartContradicted { meter_start_wh: fact.meter_start_wh };
        to_session(step, known.session, command);
        return Reply::TransactionStarted { transaction: known.transaction, verdict: known.verdict };
    }
    if !timed {
        status::doubt_clock(step, &fact.at);
    }
    let mut flags = Vec::new();
    flag(&mut flags, reused(step, message), Flag::MessageIdReused);
    flag(&mut flags, fact.flaw.is_some(), Flag::SchemaBroken);
    let connector = place(step, fact.connector, &mut flags);
    let mut whose = whose(step, &fact.tag, connector, &mut flags);
    if !whose.remote && !fact.at.is_backlog(step.context.now, &step.context.ambient.policy.charger) {
        whose.verdict = in_maintenance(step, whose.verdict);
    }
    let comer = holds::comer(step, &fact, connector, whose.remote.then_some((whose.session, whose.ghost)));
    comer.admit(&mut whose.verdict, &mut whose.owner);
    clear_connector(step, connector, whose.session);
    let transaction = next_transaction(step);
    let verdict = whose.verdict;
    let tag = fact.tag.print();
    let (meter_start_wh, session) = (fact.meter_start_wh, whose.session);
    let recent = Recent {
        transaction,
        session,
        connector,
        verdict,
        start,
        start_message: message,
        tag,
        meter_start_wh,
        stop: None,
        timed,
    };
    let id_tag = remote_tag(&fact.tag).filter(|_| whose.remote);
    let live = Live {
        session,
        connector,
        id_tag,
        transaction: Some(transaction),
        accepted: true,
        ghost: whose.ghost,
        unfunded: false,
    };
    step.emit(Event::TransactionBegan { recent, live });
    queue::drop_waiting(step, &Purpose::Start(session));
    let reservation = comer.reservation();
    let (at, owner) = (fact.at, whose.owner);
    let shown = owner.as_ref().and_then(|owner| owner.holder.as_ref()).and_then(|(partner, _)| {
        let now = step.context.now;
        sessions::shown(step, partner, at.plausible(now, &step.context.ambient.policy.charger).unwrap_or(now))
    });
    let beginning = Beginning { transaction, connector, meter_start_wh, at, flags, owner, reservation, shown };
    let orphan = orphan_of(step, &beginning, tag);
    tell(step, session, whose.ghost, verdict, beginning);
    holds::began(step, comer, connector, session);
    if let Some(orphan) = orphan {
        join(step, transaction, session, &orphan);
    }
    Reply::TransactionStarted { transaction, verdict }
}

fn remote_tag(tag: &Tag) -> Option<Box<str>> {
    match tag {
        Tag::Remote(text) => Some(text.clone()),
        Tag::Token(_) => None,
    }
}

fn flag(flags: &mut Vec<Flag>, set: bool, flag: Flag) {
    if set {
        flags.push(flag);
    }
}

fn tell(step: &mut ChargerStep<'_>, session: SessionId, ghost: bool, verdict: Verdict, beginning: Beginning) {
    let beginning = Box::new(beginning);
    let command = match ghost {
        true => session::Command::BeganLate(beginning),
        false => session::Command::Began { beginning, deauthorised: verdict != Verdict::Accepted },
    };
    to_session(step, session, command);
}

/// A start with the same content is the same start, unless the charger's clock stands still and it has been stopped
/// since: then time and meter prove nothing, and only the message id does.
fn repeat(step: &ChargerStep<'_>, start: u64, message: u64, timed: bool) -> Option<Recent> {
    let mut known = step.state.recent.iter().rev().filter(|recent| recent.start == start);
    known.find(|recent| timed || recent.stop.is_none() || recent.start_message == message).cloned()
}

/// A transaction that began at this connector, with this tag, at this very moment, but at another register: nobody plugs in
/// twice in one moment, so the charger tells the same start again, maybe after its stop.
fn contradicted(step: &ChargerStep<'_>, fact: &StartFact, timed: bool) -> Option<Recent> {
    let timed = |recent: &&Recent| timed && recent.timed;
    let same = |recent: &&Recent| {
        let told = StartFact { meter_start_wh: recent.meter_start_wh, ..fact.clone() };
        recent.start == content(&told)
    };
    step.state.recent.iter().rev().filter(timed).find(same).cloned()
}

fn reused(step: &ChargerStep<'_>, message: u64) -> bool {
    let stop = |recent: &Recent| recent.stop.is_some_and(|(_, stop)| stop == message);
    step.state.recent.iter().any(|recent| recent.start_message == message || stop(recent))
}

/// Where it happened. Connector 0 of a charger with one connector is that one; a number that is not registered stays
/// as told, beside the registered ones.
fn place(step: &mut ChargerStep<'_>, told: ConnectorId, flags: &mut Vec<Flag>) -> ConnectorId {
    let registered = step.state.connectors.len();
    if told.0 == 0 && registered == 1 {
        flags.push(Flag::ConnectorZero);
        return ConnectorId(1);
    }
    if told.0 == 0 || usize::from(told.0) > registered {
        flags.push(Flag::ConnectorUnknown);
        let text = format!("a transaction began at connector {told}, which is not registered ({registered} are)");
        let case = Case::alert(Level::Warning, "transaction_at_unknown_connector", subject(step), text);
        step.raise(case.ticket("correct the number of connectors, or have the charger's firmware looked at"));
    }
    told
}

/// Whose start it is.
struct Whose {
    session: SessionId,
    verdict: Verdict,
    /// It carries the tag of one of our remote starts.
    remote: bool,
    /// Its session has failed (SE-5).
    ghost: bool,
    owner: Option<Owner>,
}

fn whose(step: &mut ChargerStep<'_>, tag: &Tag, connector: ConnectorId, flags: &mut Vec<Flag>) -> Whose {
    let unregistered = flags.contains(&Flag::ConnectorUnknown);
    match tag {
        Tag::Remote(text) => {
            if let Some(live) = awaited(step, text) {
                flag(flags, live.connector != connector, Flag::OtherConnector);
                let verdict = if unregistered { Verdict::Invalid } else { Verdict::Accepted };
                return Whose { session: live.session, verdict, remote: true, ghost: false, owner: None };
            }
            if let Some(failed) = failed(step, text) {
                let session = failed.session;
                return Whose { session, verdict: Verdict::Invalid, remote: true, ghost: true, owner: None };
            }
            local(step, Verdict::Invalid, None)
        }
        Tag::Token(info) => {
            let verdict = match (info.verdict, unregistered) {
                (Verdict::Accepted, true) => Verdict::Invalid,
                (verdict, _) => verdict,
            };
            let owner = info.owner.clone();
            let owner = Owner { token: info.reference.clone(), holder: owner };
            local(step, verdict, Some(owner))
        }
    }
}

fn local(step: &mut ChargerStep<'_>, verdict: Verdict, owner: Option<Owner>) -> Whose {
    let session = SessionId(step.context.uuid(queue::mint(step)));
    Whose { session, verdict, remote: false, ghost: false, owner }
}

/// A connector serves one vehicle: what else is thought to run there is over (I4). A start that is still awaited there
/// lost the race; a running transaction has ended without telling.
fn clear_connector(step: &mut ChargerStep<'_>, connector: ConnectorId, session: SessionId) {
    let others: Vec<Live> =
        step.state.live.iter().filter(|l| l.connector == connector && l.session != session).cloned().collect();
    for other in others {
        leave(step, &other);
    }
    // Beyond the registered connectors a charger can make up any number of them.
    let registered = step.state.connectors.len();
    let strays: Vec<Live> = step
        .state
        .live
        .iter()
        .filter(|l| l.session != session && (l.connector.0 == 0 || usize::from(l.connector.0) > registered))
        .cloned()
        .collect();
    let stray = connector.0 == 0 || usize::from(connector.0) > registered;
    if let (true, Some(oldest), true) = (stray, strays.first(), strays.len() >= STRAYS_MAX) {
        leave(step, oldest);
    }
}

fn leave(step: &mut ChargerStep<'_>, other: &Live) {
    queue::drop_waiting(step, &Purpose::Stop(other.session));
    queue::drop_waiting(step, &Purpose::Start(other.session));
    let began = other.transaction.is_some();
    if !began {
        sessions::make_room(step);
    }
    step.emit(Event::Released { session: other.session, remember: !began, start_failed: false });
    holds::arrival_failed(step, other.session);
    let command = match began {
        true => session::Command::Superseded,
        false => session::Command::StartRefused(Failure::occupied()),
    };
    to_session(step, other.session, command);
}

/// A stop that came before this start and can only be its own (CH-7): after it in time and meter, of the same tag.
fn orphan_of(step: &ChargerStep<'_>, beginning: &Beginning, tag: u64) -> Option<OrphanStop> {
    let limits = &step.context.ambient.policy.charger;
    let started: Timestamp = beginning.at.plausible(step.context.now, limits)?;
    let fits = |orphan: &&OrphanStop| {
        orphan.tag.is_none_or(|orphan| orphan == tag)
            // What ended at the moment of this start is what ran before it.
            && orphan.at.is_some_and(|at| at > started)
            && orphan.meter_stop_wh.is_some_and(|meter| meter >= beginning.meter_start_wh)
    };
    step.state.orphans.iter().find(fits).cloned()
}

fn join(step: &mut ChargerStep<'_>, transaction: TransactionId, session: SessionId, orphan: &OrphanStop) {
    step.emit(Event::StopJoined { content: orphan.content });
    step.emit(Event::TransactionEnded { transaction, stop: (orphan.content, JOINED) });
    to_session(step, session, transaction_stop::ending_of_orphan(orphan));
}
