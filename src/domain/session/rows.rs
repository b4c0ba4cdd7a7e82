//! The read models that follow from a session's events: `session/<id>` (where it is; at its end, all of it),
//! `user-session/<partner>/<user>/<session>`, `signed-reading/<session>/<place>`, `alert`, `ticket`. Owns their shape.

use super::{Event, Session, signed};
use crate::clock::Timestamp;
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;
use crate::ids::SessionId;

/// The rows that follow from a step's events.
pub fn project<'a>(
    partition: &str,
    id: SessionId,
    session: &Session,
    events: impl Iterator<Item = &'a Event>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut born, mut over, mut forgotten) = (false, false, false);
    for event in events {
        match event {
            Event::Placed(_) => born = true,
            // A local session is born so; a remote one has its rows, and keeps them.
            Event::Began(began) => born |= session.request.is_none() && !began.late,
            Event::Failed { .. } | Event::Ended(_) | Event::Corrected(_) => over = true,
            // What is odd about a session that is over is in its row.
            Event::Flagged { .. } | Event::Read { .. } => over |= !session.is_open() && session.status.is_some(),
            Event::Forgotten => forgotten = true,
            Event::Raised(raised) => rows.extend(case::rows(raised)),
            Event::SignedData { first, records, .. } => rows.extend(signed::rows(id, *first, records)),
            Event::ReadLate { .. }
            | Event::StatusSeen { .. }
            | Event::SamplesMissed
            | Event::StopRequested { .. }
            | Event::StopTried { .. }
            | Event::StopDeferred { .. }
            | Event::StopResultTold
            | Event::StopPended
            | Event::BecameAbnormal
            | Event::SettleDeferred { .. }
            | Event::DeadlinesMoved { .. }
            | Event::Funded { .. }
            | Event::FundsWarned
            | Event::Told { .. } => {}
        }
    }
    if forgotten {
        return rows;
    }
    if over {
        // `now` matters only to one that still runs: a failed one whose transaction began late.
        let now = session.ended_at.unwrap_or(session.heard_at).max(session.created_at);
        rows.push(row("session", id.to_string(), &session.view(id, partition, now)));
    } else if born {
        rows.push(row("session", id.to_string(), &pointer(partition, id, session)));
    }
    if born || over {
        rows.extend(user_row(partition, id, session, over));
    }
    rows
}

/// Where an open session is: its actor tells the rest.
fn pointer(partition: &str, id: SessionId, session: &Session) -> serde_json::Value {
    serde_json::json!({"session_id": id, "charger_id": partition, "connector_id": session.connector,
        "partner": session.partner, "user": session.user, "request_id": session.request, "open": true,
        "created_at": session.created_at.to_rfc3339()})
}

fn user_row(partition: &str, id: SessionId, session: &Session, over: bool) -> Option<Row> {
    let (partner, user) = (session.partner.as_ref()?, session.user.as_ref()?);
    let created_at = Timestamp::to_rfc3339(session.created_at);
    let value = serde_json::json!({"session_id": id, "charger_id": partition, "open": !over, "created_at": created_at});
    Some(row("user-session", format!("{partner}/{user}/{id}"), &value))
}
