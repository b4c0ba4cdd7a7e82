//! The HTTP side of the command line. Owns reaching the server; never what is asked.

use super::args::Reach;
use crate::api::operator::{OPERATOR_HEADER, OperatorToken};
use anyhow::Context as _;
use serde_json::Value;
use std::time::Duration;

/// A command line waits as long as a person would.
const TIMEOUT: Duration = Duration::from_secs(600);

/// An answer of the operator API.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) json: Value,
}

impl Answer {
    pub(super) fn good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A client with the operators' token.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: OperatorToken,
    operator: Option<String>,
}

impl Client {
    pub(super) fn new(reach: &Reach) -> anyhow::Result<Self> {
        let token = OperatorToken::load(&reach.token_file)
            .context("is the server running here? It makes the token file at its first start")?;
        // Somebody else may have installed one: any will do, the operator API speaks plain HTTP on this machine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("no HTTP client")?;
        // A token of one's own says who one is; the installation's needs a name beside it.
        let named = || reach.operator.clone().or_else(|| std::env::var("USER").ok());
        let operator = if token.is_of_an_account() { reach.operator.clone() } else { named() };
        let base = reach.url.trim_end_matches('/').to_owned();
        Ok(Client { http, base, token, operator })
    }

    pub(super) async fn send(&self, method: &'static str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}/ops/v1{path}", self.base);
        let method = reqwest::Method::from_bytes(method.as_bytes()).context("no such method")?;
        let mut request = self.http.request(method, &url).header("authorization", self.token.header());
        if let Some(operator) = &self.operator {
            request = request.header(OPERATOR_HEADER, operator);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("no answer from {}", self.base))?;
        let status = response.status().as_u16();
        let text = response.text().await.context("the answer broke off")?;
        Ok(Answer { status, json: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }
}
