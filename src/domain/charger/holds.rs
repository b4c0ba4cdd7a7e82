//! Reservations as the charger knows them: the check before one, who may begin at a held connector, ReserveNow and
//! CancelReservation towards devices that know them, and trouble (RS-1, RS-3, RS-6). Owns the hold of a connector; never
//! money, nor what the partner is told.
//!
//! Invariant: at most one hold a connector (I4). Where the device does not hold, we do: a stranger is refused.

use super::calls::Outcome;
use super::device::Features;
use super::facts::{StartFact, Tag, TokenInfo, Verdict};
use super::hold::{Device, Hold, HoldEvent};
use super::sessions::{Taker, check};
use super::state::{BootPolicy, Charger, Link};
use super::{Call, ChargerStep, Event, Opening, Purpose, Status, Told, queue, remote_tag, status, subject};
use crate::domain::charging::{Case, Command as FamilyCommand, Key, Level, Rejection, Reply, Timer};
use crate::domain::reservation::{self, Arrival, Booking, Complaint, EndCause};
use crate::domain::session::Owner;
use crate::ids::{ConnectorId, PartnerId, ReservationId, SessionId};

/// Checks the true state, holds the connector (RS-1).
pub(super) fn reserve(step: &mut ChargerStep<'_>, booking: Booking) -> Result<Reply, Rejection> {
    let (reservation, connector, now) = (booking.reservation, booking.connector, step.context.now);
    if step.state.hold(reservation).is_some() {
        return Err(Rejection::ReservationExists);
    }
    let registered = step.state.registration.is_some();
    match step.state.held(connector).map(|hold| (hold.reservation, hold.until)) {
        Some((_, until)) if registered && until >= now => return Err(Rejection::ConnectorReserved),
        // Its time is over and it could not say so: it must not block the connector for ever.
        Some((stale, _)) => {
            step.emit(Event::Hold(HoldEvent::Freed { reservation: stale }));
            lapsed(step, stale);
        }
        None => {}
    }
    check(&step.state, connector, step.context.ambient.online, Taker::Reserver)?;
    let policy = &step.context.ambient.policy.reservation;
    let (from, until) = reservation::terms::window(policy, now, booking.ahead, booking.length);
    let hold = Hold {
        reservation,
        connector,
        partner: booking.partner.clone(),
        user: booking.user.clone(),
        number: number(&step.state, reservation),
        id_tag: remote_tag::of(SessionId(reservation.0), step.context.entropy),
        since: now,
        from,
        until,
        confirmed: false,
        device: Device::Untold,
        arriving: None,
    };
    step.emit(Event::Hold(HoldEvent::Taken(hold)));
    status::tell(step, connector);
    to_reservation(step, reservation, reservation::Command::Place(Box::new(booking)));
    Ok(Reply::Reserved(reservation))
}

/// A reservation's time is over by the wall clock before its timer has fired, which a jump of that clock does not hasten
/// (RT-3): it hears so now, or two would stand for one connector (I4). One that is quarantined hears it when it is released.
fn lapsed(step: &mut ChargerStep<'_>, reservation: ReservationId) {
    if !step.context.ambient.quarantined_reservations.contains(&reservation) {
        // One of them says nothing: it is confirmed, or it is not.
        for timer in [Timer::HoldUntil, Timer::PaymentDeadline] {
            step.also(Key::Reservation(reservation), FamilyCommand::Fired(timer));
        }
    }
}

/// The reservation's number towards the device: positive, and none that is held now.
fn number(charger: &Charger, reservation: ReservationId) -> i32 {
    let mut number = i32::try_from(reservation.0.as_u128() & 0x3fff_ffff).unwrap_or(0).max(1);
    while charger.holds.iter().any(|hold| hold.number == number) {
        number += 1;
    }
    number
}

/// The reservation stands: the device is told, if it knows reservations.
pub(super) fn confirmed(step: &mut ChargerStep<'_>, reservation: ReservationId) {
    if step.state.hold(reservation).is_some() {
        step.emit(Event::Hold(HoldEvent::Confirmed { reservation }));
        tell_device(step, reservation);
    }
}

/// Tells the device what it does not know: after a boot it has forgotten all of it.
pub(super) fn tell_again(step: &mut ChargerStep<'_>, forgotten: bool) {
    let stale = |hold: &&Hold| match hold.device {
        Device::Untold => true,
        Device::Holds => forgotten,
        Device::Asked | Device::Declined => false,
    };
    let again: Vec<_> = step.state.holds.iter().filter(stale).map(|hold| hold.reservation).collect();
    again.into_iter().for_each(|reservation| tell_device(step, reservation));
}

fn tell_device(step: &mut ChargerStep<'_>, reservation: ReservationId) {
    let lacks = step.state.limits().features.is_some_and(|known| !known.has(Features::RESERVATION));
    let Some(hold) = step.state.hold(reservation).filter(|hold| hold.confirmed).cloned() else { return };
    if lacks {
        set_device(step, reservation, Device::Declined);
    } else if step.state.generation().is_some() && step.state.is_accepted() && queue::has_room(step) {
        let call = Call::ReserveNow {
            connector: hold.connector,
            expires: hold.until,
            reservation: hold.number,
            holder: super::SealedText(Box::default()),
            tag: Some(hold.id_tag),
        };
        queue::push(step, call, Purpose::Hold(reservation), step.context.now);
        set_device(step, reservation, Device::Asked);
    }
}

fn set_device(step: &mut ChargerStep<'_>, reservation: ReservationId, device: Device) {
    if step.state.hold(reservation).is_some_and(|hold| hold.device != device) {
        step.emit(Event::Hold(HoldEvent::Device { reservation, device }));
    }
}

/// ReserveNow never went out, or is answered late.
pub(super) fn command_over(step: &mut ChargerStep<'_>, reservation: ReservationId, outcome: &Outcome) {
    match outcome {
        Outcome::Offline | Outcome::LinkLost | Outcome::Moot => set_device(step, reservation, Device::Untold),
        Outcome::Answered { accepted: true, .. } => set_device(step, reservation, Device::Holds),
        // What else it means is in the answer's own words.
        Outcome::Answered { accepted: false, .. } | Outcome::CallError { .. } | Outcome::TimedOut => {}
    }
}

/// ReserveNow is answered.
pub(super) fn told(step: &mut ChargerStep<'_>, reservation: ReservationId, outcome: &Outcome, told: &Told) {
    let word = match told {
        Told::Status(word) => &**word,
        Told::Nothing | Told::ListVersion(_) | Told::Configuration(_) => "",
    };
    match (outcome, word) {
        (Outcome::Answered { accepted: true, .. }, _) => set_device(step, reservation, Device::Holds),
        (Outcome::Answered { .. }, "Faulted") => trouble(step, reservation, EndCause::ConnectorFaulted),
        (Outcome::Answered { .. }, "Unavailable") => trouble(step, reservation, EndCause::ConnectorUnavailable),
        (Outcome::Answered { .. }, "Occupied") => trouble(step, reservation, EndCause::ConnectorOccupied),
        (Outcome::Answered { .. } | Outcome::CallError { .. } | Outcome::TimedOut, _) => {
            set_device(step, reservation, Device::Declined);
        }
        (Outcome::LinkLost | Outcome::Offline | Outcome::Moot, _) => {}
    }
}

/// The reservation is over: the connector is free, the device is told, a complaint's ticket has what is known here.
pub(super) fn free(step: &mut ChargerStep<'_>, reservation: ReservationId, complaint: Option<Complaint>) {
    let Some(hold) = step.state.hold(reservation).cloned() else { return };
    if let Some(complaint) = complaint {
        complain(step, &hold, &complaint);
    }
    queue::drop_waiting(step, &Purpose::Hold(reservation));
    step.emit(Event::Hold(HoldEvent::Freed { reservation }));
    match hold.device {
        Device::Holds | Device::Asked => {
            let call = Call::CancelReservation { reservation: hold.number };
            queue::push(step, call, Purpose::System, step.context.now);
        }
        Device::Untold | Device::Declined => {}
    }
    status::tell(step, hold.connector);
}

/// A ticket with evidence (RS-5).
fn complain(step: &mut ChargerStep<'_>, hold: &Hold, complaint: &Complaint) {
    let Hold { reservation, connector, .. } = hold;
    let known = step.state.connector(*connector);
    let charger = step.context.partition;
    let evidence = serde_json::json!({
        "reservation": format!("reservation/{reservation}"),
        "complaint": complaint.grievance,
        "in_the_users_words": complaint.text,
        "status_told": known.map(|known| known.status),
        "status_at": known.map(|known| known.learnt_at.to_rfc3339()),
        "fault": step.state.fault_at(*connector).map(|fault| fault.view()),
        "session_there": step.state.live_on(*connector).map(|live| format!("session/{}", live.session)),
        "device_holds": hold.device == Device::Holds,
        "messages": format!("/ops/v1/chargers/{charger}/messages"),
    });
    let text = format!("the user of reservation {reservation} could not charge at connector {connector}");
    let case = Case::alert(Level::Warning, "reservation_disputed", format!("reservation/{reservation}"), text);
    let case = case.ticket("find out who was there, and have the place looked at; the deposit is returned already");
    step.raise(case.with(&evidence.to_string()));
}

/// A partner's start at a connector that may be held: by whom, and whether it may go on (RS-3, SE-2).
pub(super) fn arrival(step: &ChargerStep<'_>, opening: &Opening) -> Result<Option<Hold>, Rejection> {
    let now = step.context.now;
    let Opening { partner, user, connector, .. } = opening;
    if let Some(named) = opening.reservation {
        let hold = step.state.hold(named).filter(|hold| hold.partner == *partner);
        let hold = hold.ok_or(Rejection::ReservationUnknown)?;
        if !hold.is_of(partner, user) {
            return Err(Rejection::ReservationOfAnother);
        }
        if now > hold.until {
            return Err(Rejection::ReservationOver);
        }
        if hold.connector != *connector {
            return Err(Rejection::WrongConnector);
        }
        return ready(hold, now).map(|()| Some(hold.clone()));
    }
    if let Some(hold) = step.state.held_at(*connector, now) {
        return match hold.is_of(partner, user) {
            true => ready(hold, now).map(|()| Some(hold.clone())),
            false => Err(Rejection::ConnectorReserved),
        };
    }
    match own_elsewhere(&step.state, partner, user, *connector, now) {
        Some(_) => Err(Rejection::WrongConnector),
        None => Ok(None),
    }
}

fn ready(hold: &Hold, now: crate::clock::Timestamp) -> Result<(), Rejection> {
    match () {
        () if !hold.confirmed => Err(Rejection::ReservationUnpaid),
        () if hold.arriving.is_some() => Err(Rejection::ConnectorOccupied),
        () if now < hold.from => Err(Rejection::ReservationEarly),
        () => Ok(()),
    }
}

/// The user's hold of another connector of this charger.
fn own_elsewhere<'a>(
    charger: &'a Charger,
    partner: &PartnerId,
    user: &str,
    connector: ConnectorId,
    now: crate::clock::Timestamp,
) -> Option<&'a Hold> {
    let mut holds = charger.holds.iter();
    holds.find(|hold| hold.is_of(partner, user) && hold.connector != connector && hold.until >= now && hold.confirmed)
}

/// A start of the user's is under way.
pub(super) fn arriving(step: &mut ChargerStep<'_>, hold: &Hold, session: SessionId) {
    let reservation = hold.reservation;
    step.emit(Event::Hold(HoldEvent::Arriving { reservation, session: Some(session) }));
    to_reservation(step, reservation, reservation::Command::Arriving(Some(session)));
}

/// A session leaves its connector: if it was to end a reservation, that stands.
pub(super) fn arrival_failed(step: &mut ChargerStep<'_>, session: SessionId) {
    let waiting = step.state.holds.iter().find(|hold| hold.arriving == Some(session));
    let Some(reservation) = waiting.map(|hold| hold.reservation) else { return };
    step.emit(Event::Hold(HoldEvent::Arriving { reservation, session: None }));
    to_reservation(step, reservation, reservation::Command::Arriving(None));
}

/// What a transaction that begins means to the hold of its connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comer {
    /// Nothing is held there.
    Nobody,
    /// The user of the hold.
    Holder(Box<Hold>, Arrival),
    /// Somebody else: refused.
    Stranger,
    /// Somebody else, in the past: it cannot be refused any more.
    StrangerBefore(ReservationId),
    /// The user of another connector's hold: "not your reserved connector".
    Astray(ReservationId),
}

/// Who begins at a connector, as far as holds go. `ours`: the session whose start this is, and whether it is a late one,
/// which is stopped in any case.
pub(super) fn comer(
    step: &ChargerStep<'_>,
    fact: &StartFact,
    at: ConnectorId,
    ours: Option<(SessionId, bool)>,
) -> Comer {
    let now = step.context.now;
    let (charger, limits) = (&step.state, &step.context.ambient.policy.charger);
    let backlog = fact.at.is_backlog(now, limits);
    let awaited = match ours {
        Some((_, true)) => return Comer::Nobody,
        Some((session, false)) => Some(session),
        None => None,
    };
    let held = charger.held_at(at, now);
    if let Some(hold) = charger.holds.iter().find(|hold| hold.arriving.is_some() && hold.arriving == awaited) {
        return Comer::Holder(Box::new(hold.clone()), Arrival::Partner);
    }
    if let Some(hold) = held {
        let began = fact.at.plausible(now, limits).unwrap_or(now);
        let named = fact.reservation == Some(hold.number);
        let by_tag = matches!(&fact.tag, Tag::Remote(text) if text.eq_ignore_ascii_case(&hold.id_tag));
        let by_card = owner(&fact.tag).is_some_and(|(partner, user)| hold.is_of(partner, user));
        if backlog && began < hold.since {
            // Told late, and over since: the connector was free when it was reserved (CH-7).
            return Comer::Nobody;
        }
        let inside = hold.confirmed && hold.from <= now && (!backlog || began >= hold.from);
        return match (by_tag || by_card, inside, backlog) {
            (true, true, _) if named => Comer::Holder(Box::new(hold.clone()), Arrival::Charger),
            (true, true, _) => Comer::Holder(Box::new(hold.clone()), Arrival::Card),
            (_, _, true) => Comer::StrangerBefore(hold.reservation),
            (_, _, false) => Comer::Stranger,
        };
    }
    match owner(&fact.tag).filter(|_| !backlog && awaited.is_none()) {
        Some((partner, user)) => match own_elsewhere(charger, partner, user, at, now) {
            Some(hold) => Comer::Astray(hold.reservation),
            None => Comer::Nobody,
        },
        None => Comer::Nobody,
    }
}

fn owner(tag: &Tag) -> Option<(&PartnerId, &str)> {
    match tag {
        Tag::Token(TokenInfo { owner: Some((partner, user)), verdict: Verdict::Accepted, .. }) => Some((partner, user)),
        Tag::Token(_) | Tag::Remote(_) => None,
    }
}

impl Comer {
    /// What the token may do here, and whose session it is: a device may name the hold by its tag alone.
    pub(super) fn admit(&self, verdict: &mut Verdict, owner: &mut Option<Owner>) {
        match self {
            Comer::Stranger | Comer::Astray(_) if *verdict == Verdict::Accepted => *verdict = Verdict::Invalid,
            Comer::Holder(hold, Arrival::Charger | Arrival::Card) if owner.is_none() => {
                let holder = Some((hold.partner.clone(), hold.user.clone()));
                *verdict = Verdict::Accepted;
                *owner = Some(Owner { token: hold.id_tag.clone(), holder });
            }
            Comer::Stranger | Comer::Astray(_) | Comer::Nobody | Comer::Holder(..) | Comer::StrangerBefore(_) => {}
        }
    }

    /// The reservation that this transaction ends.
    pub(super) fn reservation(&self) -> Option<ReservationId> {
        match self {
            Comer::Holder(hold, _) => Some(hold.reservation),
            Comer::Nobody | Comer::Stranger | Comer::StrangerBefore(_) | Comer::Astray(_) => None,
        }
    }
}

/// A transaction has begun: the reservation closes in the same record, or stands, or cannot be kept (RS-3, RS-6).
pub(super) fn began(step: &mut ChargerStep<'_>, comer: Comer, connector: ConnectorId, session: SessionId) {
    match comer {
        Comer::Nobody => {}
        Comer::Holder(hold, arrival) => {
            let reservation = hold.reservation;
            queue::drop_waiting(step, &Purpose::Hold(reservation));
            step.emit(Event::Hold(HoldEvent::Freed { reservation }));
            to_reservation(step, reservation, reservation::Command::Arrived { session, arrival });
        }
        Comer::Stranger => {
            let text = format!("somebody else began at connector {connector}, which is reserved; it is being stopped");
            step.raise(Case::alert(Level::Info, "stranger_at_reserved_connector", subject(step), text));
        }
        Comer::StrangerBefore(reservation) => trouble(step, reservation, EndCause::ConnectorOccupied),
        Comer::Astray(reservation) => {
            to_reservation(step, reservation, reservation::Command::WrongConnector { tried: connector });
        }
    }
}

/// A stranger's card is refused at once where all that is left is held for others: Authorize names no connector.
pub(super) fn authorize(step: &ChargerStep<'_>, info: &TokenInfo) -> Verdict {
    let (charger, now) = (&step.state, step.context.now);
    if info.verdict != Verdict::Accepted || charger.holds.is_empty() {
        return info.verdict;
    }
    let count = u16::try_from(charger.connectors.len()).unwrap_or(u16::MAX);
    let open_to = |connector: ConnectorId| match charger.held_at(connector, now) {
        Some(hold) => info.owner.as_ref().is_some_and(|(partner, user)| hold.is_of(partner, user)),
        None => true,
    };
    match (1..=count).map(ConnectorId).any(open_to) {
        true => Verdict::Accepted,
        false => Verdict::Invalid,
    }
}

/// The group that a user's card belongs to at this charger: its hold's tag, so that a device that holds the connector
/// lets the card in (OCPP 1.6 §5.13, `parentIdTag`).
pub(super) fn parent(step: &ChargerStep<'_>, tag: &Tag) -> Option<Box<str>> {
    let (partner, user) = owner(tag)?;
    let now = step.context.now;
    let mut holds = step.state.holds.iter();
    holds.find(|hold| hold.is_of(partner, user) && hold.confirmed && hold.until >= now).map(|hold| hold.id_tag.clone())
}

/// Holds that cannot be kept any more are given up at once: looked at after each command (RS-6).
pub(super) fn watch(step: &mut ChargerStep<'_>) {
    if step.state.holds.is_empty() {
        return;
    }
    let lost: Vec<_> = step
        .state
        .holds
        .iter()
        .filter(|hold| hold.arriving.is_none())
        .filter_map(|hold| Some((hold.reservation, trouble_of(&step.state, hold.connector)?)))
        .collect();
    lost.into_iter().for_each(|(reservation, cause)| trouble(step, reservation, cause));
}

/// Why a connector cannot be held.
fn trouble_of(charger: &Charger, connector: ConnectorId) -> Option<EndCause> {
    if matches!(charger.link, Link::Down { offline_due: None, .. }) {
        return Some(EndCause::ChargerOffline);
    }
    let accepted = charger.registration.as_ref().is_some_and(|known| known.boot == BootPolicy::Accepted);
    if charger.maintenance.is_some() || !accepted {
        return Some(EndCause::ChargerUnavailable);
    }
    if charger.connector(connector).is_none() {
        // It was registered with fewer connectors meanwhile.
        return Some(EndCause::ConnectorUnavailable);
    }
    match charger.whole.status {
        Status::Faulted => return Some(EndCause::ChargerFaulted),
        Status::Unavailable => return Some(EndCause::ChargerUnavailable),
        Status::Available
        | Status::Preparing
        | Status::Charging
        | Status::SuspendedEv
        | Status::SuspendedEvse
        | Status::Finishing
        | Status::Reserved
        | Status::Unknown => {}
    }
    match charger.shown_status(connector) {
        Status::Faulted => Some(EndCause::ConnectorFaulted),
        Status::Unavailable => Some(EndCause::ConnectorUnavailable),
        Status::Available
        | Status::Preparing
        | Status::Charging
        | Status::SuspendedEv
        | Status::SuspendedEvse
        | Status::Finishing
        | Status::Reserved
        | Status::Unknown => None,
    }
}

/// A reservation cannot be kept; another free connector of this charger is offered with it.
fn trouble(step: &mut ChargerStep<'_>, reservation: ReservationId, cause: EndCause) {
    let Some(hold) = step.state.hold(reservation) else { return };
    let own = hold.connector;
    let count = u16::try_from(step.state.connectors.len()).unwrap_or(u16::MAX);
    let usable = |at: &ConnectorId| *at != own && step.state.is_free(*at) && trouble_of(&step.state, *at).is_none();
    let alternative = (1..=count).map(ConnectorId).find(usable);
    to_reservation(step, reservation, reservation::Command::Trouble { cause, alternative });
}

/// Puts a command to a reservation of this charger.
fn to_reservation(step: &mut ChargerStep<'_>, id: ReservationId, command: reservation::Command) {
    if step.context.ambient.quarantined_reservations.contains(&id) {
        let text = "it is quarantined, and something happened to it meanwhile".to_owned();
        let case = Case::alert(Level::Critical, "reservation_quarantined", format!("reservation/{id}"), text);
        let case = case.ticket("release the reservation, then settle by hand what it missed");
        step.raise(case.with(&format!("{command:?}")));
        return;
    }
    step.also(Key::Reservation(id), FamilyCommand::Reservation(command));
}
