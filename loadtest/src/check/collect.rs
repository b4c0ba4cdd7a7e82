//! Where the checker's input comes from: the files of a run's directory and the server's answers.

use super::{Histories, ServerAnswers};
use crate::history::{PartnerRecord, read};
use crate::operator::Operator;
use crate::partner::{Event, PartnerClient};
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::path::Path;

/// Operations asked for at once.
const QUESTIONS: usize = 8;

/// Reads the three histories of a run and, if it was kept, what the server answered.
///
/// # Errors
/// When a history is missing or unreadable.
pub fn load(dir: &Path) -> anyhow::Result<(Histories, Option<ServerAnswers>)> {
    let histories = Histories {
        chargers: read(&dir.join("chargers.jsonl"))?,
        partner: read(&dir.join("partner.jsonl"))?,
        sink: read(&dir.join("sink.jsonl"))?,
    };
    let kept = dir.join("server.json");
    let server = match std::fs::read(&kept) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).with_context(|| kept.display().to_string())?),
        Err(_) => None,
    };
    Ok((histories, server))
}

/// Keeps the server's answers beside the histories, so that the verdict can be had again offline.
///
/// # Errors
/// When the file cannot be written.
pub fn store(dir: &Path, server: &ServerAnswers) -> anyhow::Result<()> {
    std::fs::write(dir.join("server.json"), serde_json::to_vec(server)?).context("server.json")
}

/// Events read on the way and those that the server still has, each once, oldest first.
pub fn joined(mut before: Vec<Event>, still: Vec<Event>) -> Vec<Event> {
    let known: BTreeSet<String> = before.iter().map(|e| e.id.clone()).collect();
    before.extend(still.into_iter().filter(|e| !known.contains(&e.id)));
    before
}

/// Asks for all sessions, all events and the operation of every write in the history.
///
/// # Errors
/// When the server does not answer.
pub async fn ask_server(
    histories: &Histories,
    operator: &Operator,
    partner: &PartnerClient,
) -> anyhow::Result<ServerAnswers> {
    let mut answers = ServerAnswers { sessions: operator.sessions().await?, ..ServerAnswers::default() };
    answers.events = partner.events().await?;
    let ids: BTreeSet<&str> = histories
        .partner
        .iter()
        .filter_map(|r| match &r.it {
            PartnerRecord::Ok { request_id, .. } | PartnerRecord::Unknown { request_id, .. } => {
                Some(request_id.as_str())
            }
            PartnerRecord::Invoke { .. } | PartnerRecord::Fail { .. } => None,
        })
        .collect();
    let found: Vec<_> =
        stream::iter(ids.into_iter().map(|id| partner.operation(id))).buffered(QUESTIONS).try_collect().await?;
    answers.operations.extend(found.into_iter().flatten());
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_on_the_way_come_first_and_none_comes_twice() {
        let event = |id: &str| Event {
            id: id.into(),
            event_type: "session.started".into(),
            timestamp: String::new(),
            order_key: None,
            sequence: None,
            data: serde_json::Value::Null,
        };
        let all = joined(vec![event("a"), event("b")], vec![event("b"), event("c")]);
        assert_eq!(all.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
