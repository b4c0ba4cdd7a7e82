//! Calls to the operator API: what a run needs registered, and the server's own view at its end (`docs/operator-api.md`).

use crate::partner::{Key, Session, http_client};
use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// One call may take this long.
const CALL_MAX: Duration = Duration::from_secs(20);
/// Pages read of one listing before it counts as endless.
const PAGES_MAX: usize = 100_000;

/// An operator's access; cheap to clone.
#[derive(Debug, Clone)]
pub struct Operator {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Operator {
    /// A client of `http://host:port` with the bearer token.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, token: &str) -> anyhow::Result<Self> {
        let http = http_client(CALL_MAX)?;
        Ok(Operator { base: base.trim_end_matches('/').to_owned(), token: token.trim().to_owned(), http })
    }

    /// Whether `GET /readyz` says 200; `false` when nobody answers.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.base)).timeout(Duration::from_secs(2)).send().await;
        answer.is_ok_and(|a| a.status() == StatusCode::OK)
    }

    /// Any call of the operator API.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.clone(), &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| format!("{method} {path}"))?;
        if !status.is_success() {
            bail!("{method} {path}: {status} {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Registers or changes a site.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn put_site(&self, site_id: &str, name: &str) -> anyhow::Result<()> {
        let body = json!({"name": name, "time_zone": "Asia/Shanghai"});
        self.call(Method::PUT, &format!("/ops/v1/sites/{site_id}"), Some(body)).await.map(drop)
    }

    /// Registers or changes a charger with basic authentication.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn put_charger(
        &self,
        charger_id: &str,
        site_id: &str,
        connectors: usize,
        password: &str,
    ) -> anyhow::Result<()> {
        let body = json!({"site_id": site_id, "connectors": connectors, "boot": "Accepted", "auth": "basic",
                          "password": password});
        self.call(Method::PUT, &format!("/ops/v1/chargers/{charger_id}"), Some(body)).await.map(drop)
    }

    /// Registers or changes a partner that sees all sites, with its webhook.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn put_partner(&self, partner_id: &str, webhook_url: &str) -> anyhow::Result<()> {
        let body = json!({"name": format!("Partner {partner_id}"), "webhook": {"url": webhook_url}, "sites": "all"});
        self.call(Method::PUT, &format!("/ops/v1/partners/{partner_id}"), Some(body)).await.map(drop)
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When the server refuses, does not answer or shows no key.
    pub async fn make_key(&self, partner_id: &str) -> anyhow::Result<Key> {
        let answer = self.call(Method::POST, &format!("/ops/v1/partners/{partner_id}/keys"), Some(json!({}))).await?;
        serde_json::from_value(answer).context("the answer holds no key_id and secret")
    }

    /// Makes a webhook signing secret; older ones sign too for a while.
    ///
    /// # Errors
    /// When the server refuses, does not answer or shows no secret.
    pub async fn make_webhook_secret(&self, partner_id: &str) -> anyhow::Result<String> {
        let path = format!("/ops/v1/partners/{partner_id}/webhook/secret");
        let answer = self.call(Method::POST, &path, Some(json!({"overlap_s": 60}))).await?;
        answer["secret"].as_str().map(str::to_owned).context("the answer holds no secret")
    }

    /// Registers an RFID token as accepted, billed to a partner's user.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn put_token(&self, id_tag: &str, status: &str, partner_id: &str) -> anyhow::Result<()> {
        let body = json!({"status": status, "partner_id": partner_id, "user_id": format!("user-{id_tag}")});
        self.call(Method::PUT, &format!("/ops/v1/tokens/{id_tag}"), Some(body)).await.map(drop)
    }

    /// All sessions, whoever started them.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.call(Method::GET, &format!("/ops/v1/sessions?limit=100{cursor}"), None).await?;
            let items = page.get("items").cloned().unwrap_or(page.clone());
            all.extend(serde_json::from_value::<Vec<Session>>(items).context("session list")?);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
        bail!("the session list does not end")
    }

    /// How many deliveries wait for a partner, and how old the oldest is, s. `None` when the answer does not say.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn queue(&self, partner_id: &str) -> anyhow::Result<(Option<u64>, Option<u64>)> {
        let answer = self.call(Method::GET, &format!("/ops/v1/partners/{partner_id}/webhook"), None).await?;
        let find = |names: &[&str]| {
            let places = [&answer, &answer["queue"], &answer["health"]];
            names.iter().find_map(|n| places.iter().find_map(|p| p[*n].as_u64()))
        };
        let depth = find(&["queue_depth", "depth"]);
        Ok((depth, find(&["oldest_age_s", "queue_age_s", "age_s"])))
    }
}
