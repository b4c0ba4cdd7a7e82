//! Tests of the HTTP room over real sockets, against an in-memory runtime.

pub(crate) mod fake;

use crate::config::api::Api;

/// The documented defaults.
pub(crate) fn config() -> Api {
    crate::config::reference::defaults().unwrap().api
}
