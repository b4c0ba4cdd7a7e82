//! The frames of chargers' sockets on their way into the message log (OP-4). Owns how an event of the connection is worded.

use crate::clock::Timestamp;
use crate::gateway::{FrameLog, Passed};
use crate::ids::ChargerId;
use crate::persistence::MessageLog;
use crate::persistence::messages::{Direction, Frame};

/// The message log as the gateway knows it.
#[derive(Debug)]
pub struct GatewayFrames(pub MessageLog);

impl FrameLog for GatewayFrames {
    fn keep(&self, charger: &ChargerId, at: Timestamp, seen: Passed<'_>) {
        let frame = match seen {
            Passed::In(text) => Frame::new(at, Direction::In, text),
            Passed::Out(text) => Frame::new(at, Direction::Out, text),
            Passed::Heartbeats(count, last) => Frame::heartbeats(at, last, count),
            Passed::Connected(from) => Frame::new(at, Direction::Link, &format!("connected from {from}")),
            Passed::Closed(reason) => Frame::new(at, Direction::Link, &format!("closed: {}", reason.label())),
        };
        self.0.keep(charger, frame);
    }
}
