//! MeterValues: handed to the session whose transaction they belong to; kept where there is none (CH-7).

use super::{ChargerStep, Event, MeterFact, Sample, subject, to_session};
use crate::domain::charging::{Case, Level};
use crate::domain::session;
use crate::ids::SessionId;

/// Samples of one stray message that are kept: enough to see what it was.
const STRAY_SAMPLES_MAX: usize = 8;

/// MeterValues.
pub(super) fn read(step: &mut ChargerStep<'_>, mut fact: MeterFact) {
    // 0 and -1 are how some chargers say that there is none.
    fact.transaction = fact.transaction.filter(|transaction| transaction.0 > 0);
    if fact.samples.is_empty() {
        return;
    }
    match owner(step, &fact) {
        Some(session) => to_session(step, session, session::Command::Read(fact.samples)),
        // Readings between transactions, on the clock's quarter: nobody's.
        None if fact.transaction.is_none() => {}
        None => stray(step, fact),
    }
}

/// By transaction; without one, what runs on that connector: the register is the same.
fn owner(step: &ChargerStep<'_>, fact: &MeterFact) -> Option<SessionId> {
    match fact.transaction {
        Some(transaction) => {
            let live = step.state.live_transaction(transaction).map(|live| live.session);
            let recent = || step.state.recent.iter().find(|recent| recent.transaction == transaction);
            live.or_else(|| recent().map(|recent| recent.session))
        }
        None => step.state.live_on(fact.connector).filter(|live| live.transaction.is_some()).map(|live| live.session),
    }
}

fn stray(step: &mut ChargerStep<'_>, fact: MeterFact) {
    let MeterFact { connector, transaction, mut samples } = fact;
    let first = step.state.stray != transaction.map(|transaction| transaction.0);
    let newest: Vec<Sample> = samples.split_off(samples.len().saturating_sub(STRAY_SAMPLES_MAX));
    step.emit(Event::ReadingsStrayed { connector, transaction, samples: newest });
    if first {
        let id = transaction.map_or(0, |transaction| transaction.0);
        let text = format!("readings of transaction {id}, which is not known, at connector {connector} are kept");
        step.raise(Case::alert(Level::Warning, "readings_of_unknown_transaction", subject(step), text));
    }
}
