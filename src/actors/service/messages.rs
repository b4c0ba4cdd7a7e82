//! Searching the message log (OP-4).

use super::Service;
use crate::api::catalogue::Code;
use crate::api::port::{MessageSearch, MessageView, Moment, Page, PageRequest, Refusal};
use crate::clock::Timestamp;
use crate::persistence::messages::{Direction, Frame, MessageLogError, Order, Search};
use serde_json::Value;

/// Frames of a charger; read on a thread that may wait for the disk.
pub(super) async fn search(
    service: &Service,
    asked: MessageSearch,
    page: PageRequest,
) -> Result<Page<MessageView>, Refusal> {
    if !service.register.knows(&asked.charger_id) {
        return Err(Code::ChargerUnknown.into());
    }
    let search = Search {
        charger: asked.charger_id,
        from: asked.from.map_or(Timestamp(i64::MIN), |from| from.0),
        to: asked.to.map_or(Timestamp(i64::MAX), |to| to.0),
        action: asked.action,
        text: asked.text,
        order: if asked.oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        limit: page.limit,
        cursor: page.cursor,
    };
    match service.messages.find(search).await {
        Ok(found) => Ok(Page { items: found.frames.into_iter().map(view).collect(), next: found.next }),
        Err(error @ MessageLogError::Cursor) => {
            Err(Refusal::field("cursor", error.to_string(), "the `next` of an earlier page"))
        }
        Err(error) => {
            tracing::warn!(%error, "the message log cannot be read");
            Err(Code::Internal.into())
        }
    }
}

fn view(frame: Frame) -> MessageView {
    let direction = match frame.direction {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::Link => "link",
    };
    let json = serde_json::from_str::<Value>(&frame.text).ok();
    let member = |n: usize| json.as_ref().and_then(|json| json.get(n)?.as_str().map(str::to_owned));
    let is_call = json.as_ref().and_then(|json| json.get(0)?.as_i64()) == Some(2);
    let (heartbeats, until) = match frame.heartbeats {
        Some((count, until)) => (Some(count), Some(Moment(Timestamp(until)))),
        None => (None, None),
    };
    let action = if heartbeats.is_some() { Some("Heartbeat".to_owned()) } else { member(2).filter(|_| is_call) };
    let text = (json.is_none() && !frame.text.is_empty()).then(|| frame.text.into_string());
    MessageView {
        at: Moment(Timestamp(frame.at)),
        direction,
        action,
        message_id: member(1),
        frame: json,
        text,
        heartbeats,
        until,
        redacted: frame.redacted,
        cut: frame.cut,
    }
}
