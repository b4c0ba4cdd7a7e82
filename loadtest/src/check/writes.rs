//! The partner's side: each acknowledged start and stop exists once, has an outcome, and its end was told.

use super::{Kind, ServerAnswers, Verdict};
use crate::history::{PartnerRecord, SinkRecord, Stamped, WriteKind};
use crate::partner::{Operation, Session};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Answers that refuse nothing for good: the request was not taken at all, or taken before under the same id.
const NOT_FINAL: [u16; 3] = [409, 429, 503];

pub(super) fn check(records: &[Stamped<PartnerRecord>], server: &ServerAnswers, verdict: &mut Verdict) {
    let mut by_request: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
    for session in &server.sessions {
        if let Some(request_id) = &session.request_id {
            by_request.entry(request_id).or_default().push(session);
        }
    }
    for (request_id, sessions) in by_request.iter().filter(|(_, s)| s.len() > 1) {
        let ids: Vec<_> = sessions.iter().map(|s| s.session_id.as_str()).collect();
        verdict.add(Kind::WriteDoubled, *request_id, format!("sessions {ids:?}"));
    }
    let operations: HashMap<&str, &Operation> = server.operations.iter().map(|o| (o.request_id.as_str(), o)).collect();
    let sessions: HashMap<&str, &Session> = server.sessions.iter().map(|s| (s.session_id.as_str(), s)).collect();
    let mut answered: HashMap<&str, &str> = HashMap::new();
    let mut unknown: HashSet<&str> = HashSet::new();
    for record in records {
        match &record.it {
            PartnerRecord::Ok { request_id, kind, session_id, .. } => {
                unknown.remove(request_id.as_str());
                if let Some(before) = answered.insert(request_id, session_id).filter(|b| *b != session_id) {
                    verdict.add(Kind::WriteDoubled, request_id, format!("answered {before} and {session_id}"));
                }
                let session = sessions.get(session_id.as_str()).copied();
                acknowledged(*kind, request_id, session, operations.get(request_id.as_str()).copied(), verdict);
            }
            PartnerRecord::Fail { request_id, http, code, .. } => {
                unknown.remove(request_id.as_str());
                if let (false, Some(made)) = (NOT_FINAL.contains(http), by_request.get(request_id.as_str())) {
                    let detail = format!("{http} {code}, yet {} exists", made[0].session_id);
                    verdict.add(Kind::RefusedYetDone, request_id, detail);
                }
            }
            // Called and never answered, by a partner that was killed too, is as unknown as timed out.
            PartnerRecord::Invoke { request_id, .. } | PartnerRecord::Unknown { request_id, .. } => {
                unknown.insert(request_id);
            }
        }
    }
    verdict.figures.writes_unknown = unknown.len();
}

fn acknowledged(
    kind: WriteKind,
    request_id: &str,
    session: Option<&Session>,
    operation: Option<&Operation>,
    verdict: &mut Verdict,
) {
    let figures = &mut verdict.figures;
    let (acknowledged, found) = match kind {
        WriteKind::Start => (&mut figures.starts_acknowledged, &mut figures.starts_found),
        WriteKind::Stop => (&mut figures.stops_acknowledged, &mut figures.stops_found),
    };
    *acknowledged += 1;
    let (Some(session), Some(operation)) = (session, operation) else {
        let missing = if session.is_none() { "no such session" } else { "no such operation" };
        return verdict.add(Kind::WriteLost, request_id, format!("{kind:?} answered 202: {missing}"));
    };
    *found += 1;
    if kind == WriteKind::Start && session.request_id.as_deref() != Some(request_id) {
        let detail = format!("{} belongs to {:?}", session.session_id, session.request_id);
        verdict.add(Kind::WriteLost, request_id, detail);
    }
    if operation.status == "Pending" && session.is_over() {
        verdict.add(Kind::OperationHangs, request_id, format!("{kind:?} pending, session {}", session.status));
    }
}

/// The end of each session that the partner started has reached its sink.
pub(super) fn check_told(
    records: &[Stamped<PartnerRecord>],
    sink: &[Stamped<SinkRecord>],
    server: &ServerAnswers,
    verdict: &mut Verdict,
) {
    let told: HashSet<(&str, &str)> = sink
        .iter()
        .filter_map(|r| {
            let SinkRecord::Delivery { session_id, event_type, answer, .. } = &r.it;
            Some((session_id.as_deref()?, event_type.as_str())).filter(|_| (200..300).contains(answer))
        })
        .collect();
    let sessions: HashMap<&str, &Session> = server.sessions.iter().map(|s| (s.session_id.as_str(), s)).collect();
    for record in records {
        let PartnerRecord::Ok { kind: WriteKind::Start, session_id, .. } = &record.it else { continue };
        let due = match sessions.get(session_id.as_str()).map(|s| s.status.as_str()) {
            Some("Ended") => "session.ended",
            Some("Failed") => "session.failed",
            Some(_) | None => continue,
        };
        if !told.contains(&(session_id.as_str(), due)) {
            verdict.add(Kind::EventLost, session_id, format!("{due} never arrived"));
        }
    }
}
