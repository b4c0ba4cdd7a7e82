//! One HTTP exchange whose answer is read whole, within the sender's bounds: the same client, address guard and deadline as a
//! webhook's try. Owns the reading of the answer; never what it means.

use super::{HttpSender, excerpt, retry_after_ms};
use crate::domain::delivery::Answer;
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::time::{Instant, timeout, timeout_at};

/// A call.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where to.
    pub url: String,
    /// A bearer token.
    pub bearer: Option<String>,
    /// JSON.
    pub body: Bytes,
}

/// An HTTP answer with its body, which is cut at the sender's bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Its status code.
    pub code: u16,
    /// Its `Retry-After` in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Exchanged {
    /// As the answer to a try: the beginning of the body, escaped.
    pub fn status(&self) -> Answer {
        Answer::Status { code: self.code, retry_after_ms: self.retry_after_ms, excerpt: excerpt(&self.body) }
    }
}

/// Makes one exchange. The HTTP client in the product, a script in tests.
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    /// Sends and waits for the whole answer; always ends. The error is an [`Answer`] that is no status.
    async fn exchange(&self, post: Post) -> Result<Exchanged, Answer>;
}

#[async_trait]
impl Exchange for HttpSender {
    async fn exchange(&self, post: Post) -> Result<Exchanged, Answer> {
        let deadline = Instant::now() + self.timeout;
        timeout(self.timeout, self.whole(post, deadline)).await.unwrap_or(Err(Answer::TimedOut))
    }
}

impl HttpSender {
    async fn whole(&self, post: Post, deadline: Instant) -> Result<Exchanged, Answer> {
        let (client, url) = self.aimed(&post.url)?;
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json;charset=utf-8").body(post.body);
        if let Some(token) = post.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut response = request.send().await.map_err(|error| super::classify(&error))?;
        let code = response.status().as_u16();
        let retry_after_ms = retry_after_ms(&response, self.clock.now());
        let mut body = Vec::new();
        while body.len() < self.bytes_max {
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk[..chunk.len().min(self.bytes_max - body.len())]),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(super::classify(&error)),
                Err(_) => return Err(Answer::TimedOut),
            }
        }
        Ok(Exchanged { code, retry_after_ms, body })
    }
}
