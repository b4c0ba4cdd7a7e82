//! What operators say of a charger: its place, its connectors, its boot policy, maintenance (CH-3, CH-9).

use super::state::{BootPolicy, CONNECTORS_MAX, Maintenance, Registration, TEXT_MAX};
use super::{Call, ChargerStep, Event, Purpose, queue};
use crate::domain::charging::Effect;
use crate::domain::charging::case::clip;

/// Transaction ids of a fresh registration start below this, at random: a charger that was here before under another
/// journal does not meet its old ids (CH-7).
const FIRST_TRANSACTION_MAX: u128 = 1_000_000_000;

/// Registers or changes.
pub(super) fn register(step: &mut ChargerStep<'_>, mut registration: Registration) {
    registration.connectors = registration.connectors.clamp(1, CONNECTORS_MAX);
    let old = step.state.registration.clone();
    if old.as_deref() == Some(&registration) {
        return;
    }
    let first_transaction = match step.state.next_transaction {
        // Below 10^9, so it fits.
        0 => i32::try_from(step.context.entropy % FIRST_TRANSACTION_MAX).unwrap_or(0) + 1,
        _ => 0,
    };
    let boot = registration.boot;
    let auth_changed = old.as_ref().is_some_and(|old| old.auth != registration.auth);
    let at = step.context.now;
    let epoch = step.context.ambient.epoch;
    step.emit(Event::Registered { registration, first_transaction, epoch, at });
    if let (true, Some(generation)) = (auth_changed, step.state.generation()) {
        // Whoever is connected proved the old secret (CH-3).
        step.effect(Effect::CloseLink { generation, why: "its authentication was changed" });
    }
    let refused = step.state.boot.as_ref().is_some_and(|known| known.status != BootPolicy::Accepted);
    if old.is_some_and(|old| old.boot != boot) && boot == BootPolicy::Accepted && refused {
        // It need not wait for its next try.
        let call = Call::Trigger { message: "BootNotification".into(), connector: None };
        queue::push(step, call, Purpose::System, at);
    }
}

/// Puts in or out of maintenance; running sessions go on.
pub(super) fn set_maintenance(step: &mut ChargerStep<'_>, on: bool, by: &str, note: Option<&str>) {
    if on == step.state.maintenance.is_some() {
        return;
    }
    let since = step.context.now;
    let note = note.map(|note| clip(note, TEXT_MAX * 4));
    step.emit(Event::MaintenanceSet(on.then(|| Maintenance {
        since,
        by: clip(by, TEXT_MAX),
        note,
        release_due: None,
    })));
}
