//! A partner platform: signed calls to the partner API and a sink for its webhooks (EM-3, EM-5, EM-8, EM-9).
//!
//! Owns one partner's side of both. Never shares code with the product: the signing here follows `docs/partner-api.md`
//! alone, and webhooks are verified by the Standard Webhooks reference library.

mod client;
mod serving;
mod sign;
mod sink;
mod types;

#[cfg(test)]
mod fake_api;

pub use client::{Outcome, PartnerClient, StartCall};
pub use sign::{Key, Signed, sign};
pub use sink::{Received, Sink, SinkMode};
pub use types::{Event, Operation, Session};

/// An HTTP client without redirects and proxies, for loopback as for anything else.
///
/// # Errors
/// When the TLS provider cannot be set up.
pub fn http_client(timeout: std::time::Duration) -> anyhow::Result<reqwest::Client> {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(timeout).no_proxy();
    Ok(builder.redirect(reqwest::redirect::Policy::none()).build()?)
}
