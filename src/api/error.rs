//! How a refusal becomes an HTTP answer. Owns the body of errors; never which one applies.
//!
//! A handler returns [`ApiError`]; it travels as an extension of an empty response until [`render`] (called by the
//! outermost layer, which knows the trace id) writes the body, so that no error can leave without one.

use super::catalogue::Code;
use super::port::{Detail, Refusal};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// A refusal on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// Why.
    pub refusal: Refusal,
    /// The partner's name of the operation, where the request had one.
    pub request_id: Option<String>,
}

impl ApiError {
    /// The same error, naming the operation.
    #[must_use]
    pub fn of_request(self, request_id: impl ToString) -> Self {
        ApiError { request_id: Some(request_id.to_string()), ..self }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        ApiError { refusal, request_id: None }
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Refusal::from(code).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status(self.refusal.code);
        if let Some(wait) = self.refusal.retry_after.or(self.refusal.code.retry_after()) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Whole seconds, rounded up, at least one: a zero would be a storm.
pub(crate) fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.entry().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The body of an error.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorView,
}

/// An error as a caller sees it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorView {
    /// A code of the catalogue (docs/errors.md).
    pub code: String,
    /// For a developer.
    pub message: String,
    /// For an end user, in English.
    pub message_en: String,
    /// For an end user, in Chinese.
    pub message_zh: String,
    /// `partner`, `platform` or `device`.
    pub fault: String,
    /// `no`, `same` or `later`.
    pub retry: String,
    /// What is wrong with which member of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// The partner's name of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Name it when asking for support.
    pub trace_id: String,
}

impl ErrorView {
    /// The view of a refusal.
    pub fn new(refusal: &Refusal, request_id: Option<&str>, trace_id: &str) -> Self {
        let entry = refusal.code.entry();
        ErrorView {
            code: entry.code.to_owned(),
            message: entry.message.to_owned(),
            message_en: entry.en.to_owned(),
            message_zh: entry.zh.to_owned(),
            fault: entry.fault.as_str().to_owned(),
            retry: entry.retry.as_str().to_owned(),
            details: refusal.details.clone(),
            request_id: request_id.map(str::to_owned),
            trace_id: trace_id.to_owned(),
        }
    }
}

/// Writes the body of an error answer; others pass unchanged. Gives back the code, for metrics and audit.
pub(crate) fn render(response: Response, trace_id: &str) -> (Response, Option<Code>) {
    let (mut parts, body) = response.into_parts();
    let Some(error) = parts.extensions.remove::<ApiError>() else {
        return (Response::from_parts(parts, body), None);
    };
    let view = ErrorView::new(&error.refusal, error.request_id.as_deref(), trace_id);
    // Texts only: they are always JSON.
    let body = serde_json::to_vec(&ErrorBody { error: view }).unwrap_or_default();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(header::CONTENT_LENGTH);
    (Response::from_parts(parts, body.into()), Some(error.refusal.code))
}
