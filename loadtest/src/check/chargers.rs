//! The chargers' side: each fact confirmed to a charger exists once, with the register's energy, and nothing hangs.

use super::{Kind, ServerAnswers, Verdict};
use crate::history::{ChargerRecord, FactKind, Stamped};
use crate::partner::Session;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One transaction as its charger knows it.
#[derive(Debug, Default)]
struct Transaction {
    connector: u16,
    meter_start_wh: Option<i64>,
    meter_stop_wh: Option<i64>,
    ids: BTreeSet<i64>,
    token_accepted: bool,
    stop_acked: bool,
}

/// How the chargers stood at the end: identity to (transactions that run or are not told yet, by the server's id).
pub(super) type Standing = HashMap<String, Stand>;

/// One charger at the end.
#[derive(Debug, Default)]
pub(super) struct Stand {
    /// The server's ids of what still runs.
    running: BTreeSet<i64>,
    /// Something still runs whose id the charger does not know, or messages wait.
    undecided: bool,
}

type Transactions<'a> = BTreeMap<(&'a str, u64), Transaction>;

pub(super) fn check(records: &[Stamped<ChargerRecord>], server: &ServerAnswers, verdict: &mut Verdict) -> Standing {
    let (transactions, finals) = fold(records, verdict);
    let mut by_id: HashMap<(&str, i64), Vec<&Session>> = HashMap::new();
    for session in &server.sessions {
        if let Some(id) = session.transaction_id {
            by_id.entry((&session.charger_id, id)).or_default().push(session);
        }
    }
    for ((charger, id), sessions) in by_id.iter().filter(|(_, s)| s.len() > 1) {
        let ids: Vec<_> = sessions.iter().map(|s| s.session_id.as_str()).collect();
        verdict.add(Kind::FactDoubled, *charger, format!("transaction {id} is in sessions {ids:?}"));
    }
    let mut owners: HashMap<(&str, i64), u64> = HashMap::new();
    for ((charger, local), transaction) in &transactions {
        if transaction.ids.len() > 1 {
            verdict.add(Kind::FactDoubled, *charger, format!("start {local} got the ids {:?}", transaction.ids));
        }
        for id in &transaction.ids {
            if let Some(other) = owners.insert((charger, *id), *local) {
                verdict.add(Kind::FactDoubled, *charger, format!("starts {other} and {local} got the id {id}"));
            }
        }
        if let Some(id) = transaction.ids.first().filter(|_| transaction.token_accepted) {
            compare(charger, *id, transaction, by_id.get(&(*charger, *id)), verdict);
        }
    }
    standing(&transactions, finals)
}

fn fold<'a>(
    records: &'a [Stamped<ChargerRecord>],
    verdict: &mut Verdict,
) -> (Transactions<'a>, HashMap<&'a str, (&'a [u64], usize)>) {
    let mut transactions: Transactions<'a> = BTreeMap::new();
    let mut finals: HashMap<&str, (&[u64], usize)> = HashMap::new();
    for record in records {
        match &record.it {
            ChargerRecord::Fact { charger, connector, local, kind, meter_wh, .. } => {
                let transaction = transactions.entry((charger, *local)).or_default();
                transaction.connector = *connector;
                match kind {
                    FactKind::Start => transaction.meter_start_wh = Some(*meter_wh),
                    FactKind::Stop => transaction.meter_stop_wh = Some(*meter_wh),
                    FactKind::Meter => {}
                }
            }
            ChargerRecord::Acked { charger, local, kind, transaction_id, token_status } => {
                let transaction = transactions.entry((charger, *local)).or_default();
                match kind {
                    FactKind::Start => {
                        transaction.ids.insert(*transaction_id);
                        transaction.token_accepted |= token_status.as_deref() == Some("Accepted");
                    }
                    FactKind::Stop => transaction.stop_acked = true,
                    FactKind::Meter => {}
                }
            }
            ChargerRecord::Sent { attempt, .. } => verdict.figures.repeated_facts += usize::from(*attempt > 1),
            ChargerRecord::Discarded { charger, local, kind } => {
                verdict.add(Kind::FactDiscarded, charger, format!("{kind:?} of {local}"));
            }
            ChargerRecord::Final { charger, running, queued } => {
                finals.insert(charger, (running, *queued));
            }
            ChargerRecord::Connected { .. }
            | ChargerRecord::Disconnected { .. }
            | ChargerRecord::Boot { .. }
            | ChargerRecord::Refused { .. }
            | ChargerRecord::RemoteStart { .. }
            | ChargerRecord::RemoteStop { .. } => {}
        }
    }
    (transactions, finals)
}

fn compare(charger: &str, id: i64, transaction: &Transaction, sessions: Option<&Vec<&Session>>, verdict: &mut Verdict) {
    verdict.figures.transactions_acknowledged += 1;
    verdict.figures.transaction_stops_acknowledged += usize::from(transaction.stop_acked);
    let Some(session) = sessions.and_then(|s| s.first()) else {
        return verdict.add(Kind::FactLost, charger, format!("no session has its transaction {id}"));
    };
    verdict.figures.transactions_found += 1;
    if session.connector_id != transaction.connector {
        let detail = format!("{} is at connector {}", session.session_id, session.connector_id);
        verdict.add(Kind::FactLost, charger, format!("transaction {id} at {}: {detail}", transaction.connector));
    }
    if !transaction.stop_acked {
        return;
    }
    if !session.is_over() {
        let detail = format!("{} is {} though its stop was confirmed", session.session_id, session.status);
        return verdict.add(Kind::StopLost, charger, detail);
    }
    verdict.figures.transaction_stops_found += 1;
    if let (Some(from), Some(to)) = (transaction.meter_start_wh, transaction.meter_stop_wh) {
        verdict.figures.energies_compared += 1;
        if session.energy_wh != to - from {
            let detail = format!("{} has {} Wh, the register {}", session.session_id, session.energy_wh, to - from);
            verdict.add(Kind::EnergyWrong, charger, detail);
        }
    }
}

fn standing(transactions: &Transactions<'_>, finals: HashMap<&str, (&[u64], usize)>) -> Standing {
    let stand = |charger: &str, running: &[u64], queued: usize| {
        let ids = running.iter().map(|local| transactions.get(&(charger, *local)).and_then(|t| t.ids.first().copied()));
        let known: Vec<_> = ids.collect();
        let undecided = queued > 0 || known.contains(&None);
        Stand { running: known.into_iter().flatten().collect(), undecided }
    };
    finals.into_iter().map(|(c, (running, queued))| (c.to_owned(), stand(c, running, queued))).collect()
}

/// No session may be open whose charger is idle; no connector may have two.
pub(super) fn check_open(server: &ServerAnswers, standing: &Standing, verdict: &mut Verdict) {
    let mut open: BTreeMap<(&str, u16), Vec<&str>> = BTreeMap::new();
    for session in server.sessions.iter().filter(|s| !s.is_over()) {
        open.entry((&session.charger_id, session.connector_id)).or_default().push(&session.session_id);
        let Some(stand) = standing.get(&session.charger_id) else { continue };
        let runs = stand.undecided || session.transaction_id.is_some_and(|id| stand.running.contains(&id));
        if runs {
            verdict.figures.still_running += 1;
        } else {
            let detail = format!("{} at {}, which is idle", session.status, session.charger_id);
            verdict.add(Kind::SessionHangs, &session.session_id, detail);
        }
    }
    for ((charger, connector), sessions) in open.into_iter().filter(|(_, s)| s.len() > 1) {
        verdict.add(Kind::ConnectorDoubled, format!("{charger}/{connector}"), format!("open: {sessions:?}"));
    }
}
