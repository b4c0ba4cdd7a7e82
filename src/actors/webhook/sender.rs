//! One HTTP try (EM-8, EM-9; controls 32 to 35). Owns the client, its limits and the reading of the answer; never decides what
//! follows from it.
//!
//! Invariants: no redirect is followed, no proxy variable is read, the connection goes to checked addresses only; a try ends
//! within the time-out whatever the other side does; of the answer's body only an escaped, cut excerpt is kept.

pub mod exchange;

use super::guard::{AddressRefused, GuardedResolver, Lookup, NameUnknown, Scheme, TargetPolicy};
use crate::clock::{SharedClock, Timestamp};
use crate::config::webhook::Webhook;
use crate::domain::delivery::Answer;
use crate::protocol::webhook::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, challenge, retry_after};
use crate::telemetry::metrics::webhook as metrics;
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

/// Characters of an answer's body or of an error that are kept.
const EXCERPT_MAX: usize = 256;
/// Header lines of an answer that are read.
const HEADERS_MAX: usize = 64;

/// A signed request, ready to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub url: String,
    /// The event id.
    pub id: String,
    /// Unix second of the try.
    pub timestamp: i64,
    /// Value of the signature header.
    pub signature: String,
    /// The signed bytes.
    pub body: Bytes,
    /// This has to come back in the answer's body (control 37).
    pub challenge: Option<String>,
}

/// Makes one try. The HTTP client in the product, a script in tests.
#[async_trait]
pub trait Deliver: Send + Sync + 'static {
    /// Sends and waits for the outcome; always ends.
    async fn deliver(&self, delivery: Delivery) -> Answer;
}

/// Why there is no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The TLS settings do not work.
    #[error("webhook tls settings: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be made.
    #[error("webhook http client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The HTTP client of all queues.
pub struct HttpSender {
    https: reqwest::Client,
    http: reqwest::Client,
    policy: Arc<TargetPolicy>,
    clock: SharedClock,
    timeout: Duration,
    drain: Duration,
    bytes_max: usize,
}

impl HttpSender {
    /// The certificate authorities of the public web.
    pub fn public_roots() -> rustls::RootCertStore {
        rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
    }

    /// Makes the clients. `roots` are the certificate authorities that are trusted.
    ///
    /// # Errors
    /// When TLS or the client cannot be set up.
    pub fn new(
        config: &Webhook,
        lookup: Arc<dyn Lookup>,
        roots: rustls::RootCertStore,
        clock: SharedClock,
    ) -> Result<Self, SenderError> {
        let policy = Arc::new(TargetPolicy {
            ports: config.ports.clone(),
            allow: config.allow_cidrs.clone(),
            http: config.allow_http,
        });
        let permits = Arc::new(Semaphore::new(config.lookups.max(1)));
        let client = |scheme| {
            let (lookup, policy, permits) = (lookup.clone(), policy.clone(), permits.clone());
            client(config, roots.clone(), GuardedResolver { lookup, policy, scheme, permits })
        };
        Ok(HttpSender {
            https: client(Scheme::Https)?,
            http: client(Scheme::Http)?,
            policy: policy.clone(),
            clock,
            timeout: config.timeout,
            drain: config.drain_timeout,
            bytes_max: config.response_bytes_max,
        })
    }

    /// Where webhooks may go; for the check when an endpoint is set.
    pub fn policy(&self) -> &TargetPolicy {
        &self.policy
    }

    /// The client for a URL, if it may be gone to.
    fn aimed(&self, url: &str) -> Result<(&reqwest::Client, url::Url), Answer> {
        match self.policy.check_url(url) {
            Ok((url, Scheme::Https)) => Ok((&self.https, url)),
            Ok((url, Scheme::Http)) => Ok((&self.http, url)),
            Err(refused) => {
                metrics::REFUSED.add(1, ["url"]);
                Err(Answer::Refused(excerpt(refused.to_string().as_bytes())))
            }
        }
    }

    async fn attempt(&self, delivery: Delivery, deadline: Instant) -> Answer {
        let (client, url) = match self.aimed(&delivery.url) {
            Ok(aimed) => aimed,
            Err(refused) => return refused,
        };
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_ID, delivery.id)
            .header(HEADER_TIMESTAMP, delivery.timestamp)
            .header(HEADER_SIGNATURE, delivery.signature)
            .body(delivery.body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return classify(&error),
        };
        let code = response.status().as_u16();
        let retry_after_ms = retry_after_ms(&response, self.clock.now());
        let limit = deadline.min(Instant::now() + self.drain);
        let read = self.drained(response, limit).await;
        match delivery.challenge {
            Some(text) if (200..300).contains(&code) && !challenge::comes_back(&read, &text) => {
                Answer::NotEchoed { code }
            }
            _ => Answer::Status { code, retry_after_ms, excerpt: excerpt(&read) },
        }
    }

    /// Reads the rest of an answer, within limits, so that the connection can be used again; past them it is closed. The
    /// status has been decided on already, so nothing here can fail the try.
    async fn drained(&self, mut response: reqwest::Response, limit: Instant) -> Vec<u8> {
        let mut kept = Vec::new();
        let mut read = 0;
        while read < self.bytes_max {
            match timeout_at(limit, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    read += chunk.len();
                    // Four bytes a character at most.
                    let room = (4 * EXCERPT_MAX).saturating_sub(kept.len());
                    kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        kept
    }
}

#[async_trait]
impl Deliver for HttpSender {
    async fn deliver(&self, delivery: Delivery) -> Answer {
        let deadline = Instant::now() + self.timeout;
        timeout(self.timeout, self.attempt(delivery, deadline)).await.unwrap_or(Answer::TimedOut)
    }
}

fn client(
    config: &Webhook,
    roots: rustls::RootCertStore,
    resolver: GuardedResolver,
) -> Result<reqwest::Client, SenderError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let https_only = resolver.scheme == Scheme::Https;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(https_only)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .http1_max_headers(HEADERS_MAX)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(config.connect_timeout)
        .timeout(config.timeout)
        .pool_max_idle_per_host(config.idle_per_host)
        .pool_idle_timeout(config.idle_timeout)
        .tcp_nodelay(true)
        .user_agent(concat!("Chargeline-Webhook/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

fn retry_after_ms(response: &reqwest::Response, now: Timestamp) -> Option<u64> {
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = header.and_then(|value| retry_after::parse(value, now))?;
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// Control characters escaped, and cut: it is shown to people and written to logs.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let escaped = text.chars().flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] });
    escaped.take(EXCERPT_MAX).collect()
}

/// What kind of failure it was: the causes are found in the error's chain.
fn classify(error: &reqwest::Error) -> Answer {
    let mut innermost = error.to_string();
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(refused) = at.downcast_ref::<AddressRefused>() {
            metrics::REFUSED.add(1, ["address"]);
            return Answer::Refused(excerpt(refused.to_string().as_bytes()));
        }
        if let Some(unknown) = at.downcast_ref::<NameUnknown>() {
            return Answer::NameFailed(excerpt(unknown.to_string().as_bytes()));
        }
        if let Some(tls) = tls_error(at) {
            return Answer::TlsFailed(excerpt(tls.to_string().as_bytes()));
        }
        innermost = at.to_string();
        cause = at.source();
    }
    let why = excerpt(innermost.as_bytes());
    if error.is_connect() && !error.is_timeout() {
        Answer::ConnectFailed(why)
    } else if error.is_timeout() {
        Answer::TimedOut
    } else {
        Answer::Broken(why)
    }
}

/// The TLS error that this is or wraps: an `io::Error` hides what it wraps from the chain of causes.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref().or_else(|| wrapped.and_then(|wrapped| tls_error(wrapped)))
}

#[cfg(test)]
mod tests;
