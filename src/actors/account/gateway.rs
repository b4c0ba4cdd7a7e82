//! The payment gateway as accounts see it (MO-3), and its generic form over HTTPS. Owns the questions; the form of requests and
//! callbacks is in `protocol::payment` and `docs/payments.md`. Other gateways are other implementations of
//! [`PaymentGateway`].

use super::breaker::Breaker;
use crate::actors::webhook::HttpSender;
use crate::clock::SharedClock;
use crate::domain::ledger::PaymentId;
use crate::domain::money::Money;
use crate::ids::TopUpId;
use crate::protocol::payment::{self, PaymentNote, PaymentStatus, RefundOrder};
use async_trait::async_trait;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why the gateway has not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// No gateway is configured.
    #[error("no payment gateway is configured")]
    None,
    /// The breaker is open.
    #[error("the payment gateway failed too often and is left alone for a while")]
    Open,
    /// It cannot be reached, or its answer is none.
    #[error("the payment gateway: {0}")]
    Silent(String),
}

/// What the gateway knows of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Not paid so far, or not known there.
    Pending,
    /// It will not be paid any more.
    Failed,
    /// It was paid.
    Paid {
        /// By which transaction.
        payment: PaymentId,
        /// How much.
        amount: Money,
    },
}

/// A payment gateway that can be asked.
#[async_trait]
pub trait PaymentGateway: Send + Sync + 'static {
    /// What it knows of an intent.
    ///
    /// # Errors
    /// When it does not say.
    async fn query(&self, intent: TopUpId) -> Result<Known, GatewayError>;

    /// Takes a payment back, once however often it is asked.
    ///
    /// # Errors
    /// When it does not say that it has.
    async fn refund(&self, payment: &PaymentId, intent: TopUpId, amount: Money) -> Result<(), GatewayError>;
}

/// Nobody to ask: intents are closed by callbacks and by their time alone, refunds wait.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoGateway;

#[async_trait]
impl PaymentGateway for NoGateway {
    async fn query(&self, _: TopUpId) -> Result<Known, GatewayError> {
        Err(GatewayError::None)
    }

    async fn refund(&self, _: &PaymentId, _: TopUpId, _: Money) -> Result<(), GatewayError> {
        Err(GatewayError::None)
    }
}

/// The generic form over HTTPS, behind a breaker.
pub struct HttpGateway {
    client: reqwest::Client,
    base: String,
    secret: SecretString,
    breaker: Breaker,
    clock: SharedClock,
}

impl fmt::Debug for HttpGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpGateway").field("base", &self.base).field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

/// The largest answer that is read.
const ANSWER_MAX: usize = 64 * 1024;

impl HttpGateway {
    /// The gateway at `base`, which shares `secret` with us.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub fn new(
        base: &str,
        secret: SecretString,
        timeout: Duration,
        breaker: Breaker,
        clock: SharedClock,
    ) -> Result<Self, GatewayError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .build()
            .map_err(|error| GatewayError::Silent(error.to_string()))?;
        Ok(HttpGateway { client, base: base.trim_end_matches('/').to_owned(), secret, breaker, clock })
    }

    /// Sends a signed call and reads its answer: status and body.
    async fn call(&self, post: bool, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), GatewayError> {
        let now = self.clock.now();
        if !self.breaker.may_ask(now) {
            return Err(GatewayError::Open);
        }
        let answer = self.exchange(post, path, body).await;
        let worked = matches!(&answer, Ok((status, _)) if *status < 500 && *status != 429);
        if self.breaker.told(worked, self.clock.now()) {
            tracing::warn!(target: "alert", code = "payment_gateway_down", base = self.base, "the payment gateway fails");
        }
        answer
    }

    async fn exchange(&self, post: bool, path: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), GatewayError> {
        let silent = |error: reqwest::Error| GatewayError::Silent(error.without_url().to_string());
        let (timestamp, signature) = payment::sign(&self.secret, self.clock.now(), &body);
        let url = format!("{}{path}", self.base);
        let call = if post { self.client.post(url) } else { self.client.get(url) };
        let call = call
            .header(payment::TIMESTAMP, timestamp)
            .header(payment::SIGNATURE, signature)
            .header("content-type", "application/json")
            .body(body);
        let mut answer = call.send().await.map_err(silent)?;
        let status = answer.status().as_u16();
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(silent)? {
            if read.len() + chunk.len() > ANSWER_MAX {
                return Err(GatewayError::Silent("its answer is too long".to_owned()));
            }
            read.extend_from_slice(&chunk);
        }
        Ok((status, read))
    }
}

fn tls() -> Result<rustls::ClientConfig, GatewayError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| GatewayError::Silent(error.to_string()))?;
    Ok(builder.with_root_certificates(HttpSender::public_roots()).with_no_client_auth())
}

#[async_trait]
impl PaymentGateway for HttpGateway {
    async fn query(&self, intent: TopUpId) -> Result<Known, GatewayError> {
        let (status, body) = self.call(false, &format!("/payments/{intent}"), Vec::new()).await?;
        if status == 404 {
            return Ok(Known::Pending);
        }
        if status != 200 {
            return Err(GatewayError::Silent(format!("status {status}")));
        }
        let note = PaymentNote::parse(&body).map_err(|error| GatewayError::Silent(error.to_string()))?;
        if note.top_up_id != intent {
            return Err(GatewayError::Silent("it answered about another top-up".to_owned()));
        }
        let amount = note.money();
        match (note.status, note.transaction_id) {
            (PaymentStatus::Pending, _) => Ok(Known::Pending),
            (PaymentStatus::Failed, _) => Ok(Known::Failed),
            (PaymentStatus::Paid, Some(payment)) => Ok(Known::Paid { payment, amount }),
            (PaymentStatus::Paid, None) => Err(GatewayError::Silent("paid, without a transaction_id".to_owned())),
        }
    }

    async fn refund(&self, payment: &PaymentId, intent: TopUpId, amount: Money) -> Result<(), GatewayError> {
        let order = RefundOrder::new(payment, intent, amount);
        let body = serde_json::to_vec(&order).map_err(|error| GatewayError::Silent(error.to_string()))?;
        let (status, _) = self.call(true, "/refunds", body).await?;
        match status {
            200..=204 | 409 => Ok(()),
            status => Err(GatewayError::Silent(format!("status {status}"))),
        }
    }
}
