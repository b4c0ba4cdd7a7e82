//! Changing how a charger comes in (CH-3): a new password through `AuthorizationKey`, a higher profile through
//! `SecurityProfile`. Owns what counts meanwhile; never a password.
//!
//! Invariant: whatever is lost on the way (the command, its answer, this process), the charger can still come in: the old
//! password counts until it has come in with the new one, the old profile until it has come in with the higher one.

use super::calls::Outcome;
use super::profile::SecurityProfile;
use super::state::{Pending, Registration, Rotation};
use super::{Call, ChargerStep, Event, Purpose, queue, subject};
use crate::domain::charging::{Case, Level, Rejection, Reply};
use crate::ids::CommandId;

/// The configuration key by which a charger changes its profile.
const PROFILE_KEY: &str = "SecurityProfile";

/// A new password, as the rules see it. Both texts are the gateway's own (see [`Registration::auth`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The password, sealed.
    pub sealed: Box<str>,
    /// What a login with it looks like.
    pub print: u64,
    /// How the old one alone is registered: what the caller based the others on.
    pub before: Box<str>,
    /// How the old and the new one are.
    pub both: Box<str>,
    /// How the new one alone is.
    pub after: Box<str>,
}

/// Begins to change the password.
pub(super) fn rotate(step: &mut ChargerStep<'_>, id: CommandId, key: NewKey, by: &str) -> Result<Reply, Rejection> {
    let Some(registration) = step.state.registration.as_deref().cloned() else { return Err(Rejection::ChargerUnknown) };
    if registration.rotation.is_some() || registration.auth != key.before {
        return Err(Rejection::RotationUnderWay);
    }
    let reply = queue::enqueue(step, id, Call::SetAuthorizationKey { sealed: key.sealed.clone() }, by)?;
    let (sealed, print, since) = (key.sealed, key.print, step.context.now);
    let rotation =
        Rotation { sealed, print, before: key.before, after: key.after, since, accepted: false, doubtful: false };
    keep(step, Registration { auth: key.both, rotation: Some(Box::new(rotation)), ..registration });
    Ok(reply)
}

/// An operator's command that bears on how the charger comes in.
pub(super) fn asked(step: &mut ChargerStep<'_>, call: &Call) -> Result<(), Rejection> {
    let Some(wanted) = profile_of(call) else { return Ok(()) };
    let Some(registration) = step.state.registration.as_deref().cloned() else { return Err(Rejection::ChargerUnknown) };
    if registration.profile.is_some_and(|least| wanted < least) {
        // A charger that obeyed would be locked out.
        return Err(Rejection::ProfileFalls);
    }
    if registration.profile.is_none_or(|least| wanted > least) {
        keep(step, Registration { raising: Some(wanted), ..registration });
    }
    Ok(())
}

fn profile_of(call: &Call) -> Option<SecurityProfile> {
    let Call::ChangeConfiguration { key, value } = call else { return None };
    if **key != *PROFILE_KEY {
        return None;
    }
    value.trim().parse::<u8>().ok().and_then(|number| number.try_into().ok())
}

/// A charger has come in.
pub(super) fn came_in(step: &mut ChargerStep<'_>, profile: SecurityProfile, key: Option<u64>) {
    let Some(mut registration) = step.state.registration.as_deref().cloned() else { return };
    let before = registration.clone();
    if let Some(raising) = registration.raising.filter(|raising| profile >= *raising) {
        (registration.profile, registration.raising) = (Some(raising), None);
        let text =
            format!("the charger has come in with security profile {profile}; it comes in with no lower one any more");
        step.raise(Case::alert(Level::Info, "security_profile_raised", subject(step), text));
    }
    match registration.rotation.take() {
        Some(rotation) if key == Some(rotation.print) => registration.auth = rotation.after,
        Some(rotation) => {
            let waits = step.state.queue.iter().any(|pending| matches!(pending.call, Call::SetAuthorizationKey { .. }));
            if !rotation.accepted && !waits {
                let call = Call::SetAuthorizationKey { sealed: rotation.sealed.clone() };
                queue::push(step, call, Purpose::System, step.context.now);
            }
            registration.rotation = Some(rotation);
        }
        None => {}
    }
    if registration != before {
        keep(step, registration);
    }
}

/// What an outcome says about whether the charger has done it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    /// Surely not, by this command.
    No,
    /// Perhaps.
    Perhaps,
    /// It was never sent.
    Nothing,
}

fn said(outcome: &Outcome) -> Said {
    match outcome {
        Outcome::Answered { accepted: true, .. } => Said::Yes,
        Outcome::Answered { accepted: false, .. } => Said::No,
        Outcome::CallError { code, .. } if matches!(&**code, "NotImplemented" | "NotSupported") => Said::No,
        Outcome::CallError { .. } | Outcome::TimedOut | Outcome::LinkLost => Said::Perhaps,
        Outcome::Offline | Outcome::Moot => Said::Nothing,
    }
}

/// A command is over.
pub(super) fn command_over(step: &mut ChargerStep<'_>, pending: &Pending, outcome: &Outcome) {
    let Some(registration) = step.state.registration.as_deref().cloned() else { return };
    if let Call::SetAuthorizationKey { sealed } = &pending.call {
        key_answered(step, registration, sealed, said(outcome));
    } else if profile_of(&pending.call) == registration.raising && registration.raising.is_some() {
        match said(outcome) {
            Said::No => keep(step, Registration { raising: None, ..registration }),
            Said::Yes | Said::Perhaps | Said::Nothing => {}
        }
    }
}

fn key_answered(step: &mut ChargerStep<'_>, registration: Registration, sealed: &str, said: Said) {
    // An answer to an older change says nothing of the present one.
    let Some(mut rotation) = registration.rotation.clone().filter(|rotation| *rotation.sealed == *sealed) else {
        return;
    };
    match said {
        Said::Yes => rotation.accepted = true,
        Said::Perhaps => rotation.doubtful = true,
        Said::Nothing => return,
        // It may have taken it the time before.
        Said::No if rotation.doubtful => return,
        Said::No => {
            let text = "the charger refused its new password; the old one stays".to_owned();
            keep(step, Registration { auth: rotation.before, rotation: None, ..registration });
            step.raise(Case::alert(Level::Warning, "password_refused", subject(step), text));
            return;
        }
    }
    if registration.rotation.as_ref() != Some(&rotation) {
        keep(step, Registration { rotation: Some(rotation), ..registration });
    }
}

fn keep(step: &mut ChargerStep<'_>, registration: Registration) {
    let (epoch, at) = (step.context.ambient.epoch, step.context.now);
    step.emit(Event::Registered { registration, first_transaction: 0, epoch, at });
}
