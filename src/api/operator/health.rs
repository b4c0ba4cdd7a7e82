//! `/healthz` and `/readyz`, open to everybody who reaches the listener. Owns their form.

use super::Shared;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

/// The process answers.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// The process can do its work: recovered, journal writable; otherwise 503 with the reasons (RT-5, RT-7).
pub(super) async fn ready(State(state): State<Shared>) -> (StatusCode, Json<Value>) {
    let readiness = state.port.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!(readiness)))
}
