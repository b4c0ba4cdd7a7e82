//! Webhook delivery: the shell around `domain::delivery`. Owns sockets, the address guard and the pace of one queue's task; never
//! decides about retries, order or dead letters.
//!
//! Reading order: [`driver`] (one task a queue: reads the outbox, sends what is due, reports what came of it), [`sender`]
//! (one HTTP try), [`guard`] (where it may go), [`service`] (what the APIs ask), [`board`] (what is shown of all queues).

pub mod board;
pub mod driver;
pub mod guard;
mod replay;
pub mod sender;
pub mod service;
pub mod tcec;

pub use board::{QueueBoard, QueueView};
pub use driver::{
    AsStored, Dress, DriverError, EndpointSource, FactsError, QueueDriver, QueueFacts, QueueHandle, Target,
};
pub use guard::{Lookup, SystemLookup, TargetPolicy, UrlRefused};
pub use sender::{Deliver, Delivery, HttpSender, SenderError};
pub use service::{ReplayAnswer, ReplayRequest, ServiceError, WebhookService};
pub use tcec::{TcecCaller, TcecFace};
