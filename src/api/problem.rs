//! `Problem` is the JSON form of every failure (RFC 9457), with a sentence that says what to do.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The reason why a request failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status is the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// The error in this request, and the recommended action.
    detail: String,
    /// Every error of a file or of a mailbox's columns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
    #[serde(skip)]
    retry_after_seconds: Option<u64>,
}

/// A value that has to be written differently.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Wrong {
    /// The line of a file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// The column; none if the whole line is wrong.
    pub(super) column: Option<String>,
    /// The correction.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// Returns 400: the request itself is malformed.
    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Returns 404: the object does not exist or belongs to another user; the caller can't learn which.
    pub(super) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Returns 409: the current state does not permit the request.
    pub(super) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    /// Returns 422: the request is well formed, and its values are not acceptable.
    pub(super) fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Returns 403: only an admin may do this.
    pub(super) fn admins_only() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "only an admin may do that: use an admin's token, or ask one")
    }

    /// Returns 503: a service that the request needs is unavailable.
    pub(super) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Adds each error of the request.
    pub(super) fn with_errors(self, errors: Vec<Wrong>) -> Problem {
        Problem { errors, ..self }
    }

    /// Adds the time after which the client may try again, in seconds.
    pub(super) fn with_retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after_seconds: Some(seconds), ..self }
    }
}

/// Reports an unavailable or overloaded database to the client. Any other error is a bug, whose details only the
/// log shows.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Problem {
        if is_away(&error) {
            tracing::warn!(%error, "a request needs Postgres, which does not answer");
            return Problem::unavailable("Postgres does not answer: check that it runs and is reached, then ask again");
        }
        // All our texts are UTF-8, so NUL is the one character that Postgres rejects (SQLSTATE 22021).
        if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "22021") {
            return Problem::bad_request("a text holds the character NUL: leave it out");
        }
        tracing::error!(%error, "a request failed");
        let detail = "this is a fault of warmup's own: its log says more; please report it";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

/// Returns whether the connection failed, or the server is starting, stopping, full, broken or too slow (SQLSTATE
/// classes 08, 53, 57, 58), a lock was not available (55P03), or the database is read-only (25006).
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25006"
        }),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"warmup\""));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
