//! A payment gateway as `docs/payments.md` describes it: who has paid, its signed callbacks, its answers to questions.
//!
//! Owns what was paid and what went back. Its signature is written from the document alone.

use super::moments::{Moment, Moments};
use super::record::MoneyRecord;
use crate::history::History;
use crate::partner::http_client;
use crate::time::now_ms;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a callback is told again and again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const WAIT: Duration = Duration::from_millis(150);

/// What `docs/payments.md` wants in the header for a body sent at that time.
pub(super) fn signature(secret: &str, unix_s: i64, body: &[u8]) -> String {
    let tag = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac.chain_update(format!("{unix_s}.")).chain_update(body).finalize().into_bytes(),
        Err(never) => unreachable!("HMAC takes keys of any length: {never}"),
    };
    format!("v1={}", hex::encode(tag))
}

/// A payment at the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    /// For which intent.
    pub top_up_id: String,
    /// The gateway's name of it.
    pub transaction: String,
    /// Minor units.
    pub minor: i64,
}

impl Payment {
    fn note(&self) -> Value {
        json!({"top_up_id": self.top_up_id, "transaction_id": self.transaction, "status": "paid",
            "amount_minor": self.minor, "currency": "CNY"})
    }
}

#[derive(Debug, Default)]
struct Till {
    paid: BTreeMap<String, Payment>,
    refunded: BTreeSet<String>,
}

/// A running gateway; ends when dropped.
#[derive(Debug)]
pub(super) struct Gateway {
    address: std::net::SocketAddr,
    secret: String,
    till: Arc<Mutex<Till>>,
    http: reqwest::Client,
    task: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(till: &Mutex<Till>) -> MutexGuard<'_, Till> {
    till.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gateway {
    /// Listens at any port of the loopback.
    ///
    /// # Errors
    /// When it cannot.
    pub(super) async fn start(secret: &str) -> anyhow::Result<Gateway> {
        let listener = TcpListener::bind(crate::fleet::ANY_PORT).await?;
        let address = listener.local_addr()?;
        let till = Arc::new(Mutex::new(Till::default()));
        let app = Router::new()
            .route("/payments/{id}", get(query))
            .route("/refunds", post(refund))
            .with_state(Arc::clone(&till));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the gateway stopped");
            }
        });
        let http = http_client(Duration::from_secs(5))?;
        Ok(Gateway { address, secret: secret.to_owned(), till, http, task })
    }

    /// Where it is asked.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The user pays: from now on questions are answered with it. A second payment of one intent is told by callbacks alone.
    pub(super) fn pay(&self, payment: &Payment) {
        lock(&self.till).paid.entry(payment.top_up_id.clone()).or_insert_with(|| payment.clone());
    }

    /// The transactions that were taken back.
    pub(super) fn refunded(&self) -> BTreeSet<String> {
        lock(&self.till).refunded.clone()
    }

    /// Tells the server of a payment until it answers 2xx, as gateways do.
    pub(super) async fn tell(&self, callback_url: &str, payment: &Payment, moments: &Moments, history: &History) {
        let (begun, body) = (Instant::now(), payment.note().to_string());
        let transaction = payment.transaction.clone();
        loop {
            let unix_s = now_ms().div_euclid(1_000);
            let call = self.http.post(callback_url).body(body.clone());
            let call = call.header("Payment-Timestamp", unix_s.to_string());
            let call = call.header("Payment-Signature", signature(&self.secret, unix_s, body.as_bytes()));
            let answer = {
                let _under_way = moments.enter(Moment::Callback);
                call.send().await
            };
            let http = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return history.write(MoneyRecord::Callback { transaction, acknowledged: true, http });
            }
            if begun.elapsed() > PATIENCE {
                return history.write(MoneyRecord::Callback { transaction, acknowledged: false, http });
            }
            tokio::time::sleep(WAIT).await;
        }
    }
}

async fn query(State(till): State<Arc<Mutex<Till>>>, Path(id): Path<String>) -> Response {
    match lock(&till).paid.get(&id) {
        Some(payment) => Json(payment.note()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn refund(State(till): State<Arc<Mutex<Till>>>, Json(asked): Json<Value>) -> StatusCode {
    let Some(transaction) = asked["transaction_id"].as_str() else { return StatusCode::BAD_REQUEST };
    match lock(&till).refunded.insert(transaction.to_owned()) {
        true => StatusCode::OK,
        false => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the document.
    #[test]
    fn the_signature_is_the_documented_one() {
        let body = concat!(
            r#"{"top_up_id":"01920000-0000-7000-8000-000000000001","transaction_id":"T1","#,
            r#""status":"paid","amount_minor":5000,"currency":"CNY"}"#
        );
        assert_eq!(
            signature("0123456789abcdef0123456789abcdef", 1_700_000_000, body.as_bytes()),
            "v1=d294502630e0b1236a37b61d1a21d03f25bb053beb805abcf4e0100dcf381c3b"
        );
    }
}
