//! The wire shape of webhooks (EM-8, EM-9): Standard Webhooks signatures, the JSON envelope of `docs/partner-api.md`, the
//! opaque cursor of `GET /events`, and `Retry-After`. Never sends anything and never decides about retries.
//!
//! Invariants: the signed bytes are the sent bytes; a secret never shows in a log (its `Debug` is a placeholder).

pub mod challenge;
pub mod cursor;
pub mod envelope;
pub mod retry_after;
pub mod secret;

pub use cursor::{CursorError, EventCursor};
pub use envelope::{body, event_json};
pub use secret::{SecretError, SigningSecret, signature_header};

/// Header with the event id: the same in every attempt and replay, the receiver's key of idempotency.
pub const HEADER_ID: &str = "webhook-id";
/// Header with the Unix second of the attempt.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Header with one signature a live secret, separated by blanks.
pub const HEADER_SIGNATURE: &str = "webhook-signature";
