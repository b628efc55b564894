//! What went wrong, as RFC 9457 says it: with a sentence that tells what to do.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    /// Of a file or of a mailbox's columns: every fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
    #[serde(skip)]
    retry_after_seconds: Option<u64>,
}

/// Something that has to be written differently.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Wrong {
    /// Of a file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// None where the whole line is meant.
    pub(super) column: Option<String>,
    /// What to write.
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

    /// The request itself is wrong.
    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is asked for is not there, or belongs to somebody else: nobody learns which.
    pub(super) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// It can't be done as things are.
    pub(super) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    /// It is understood, and can't be done with what it says.
    pub(super) fn unprocessable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Only an admin may do that.
    pub(super) fn admins_only() -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "only an admin may do that: use an admin's token, or ask one")
    }

    /// A service that is needed is away.
    pub(super) fn unavailable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// With each fault of what was sent.
    pub(super) fn with_errors(self, errors: Vec<Wrong>) -> Problem {
        Problem { errors, ..self }
    }

    /// With the time after which it may be tried again.
    pub(super) fn with_retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after_seconds: Some(seconds), ..self }
    }
}

/// A database that is away or overloaded is told; anything else is a fault of ours, told to the log only.
impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Problem {
        if is_away(&error) {
            tracing::warn!(%error, "a request needs Postgres, which does not answer");
            return Problem::unavailable("Postgres does not answer: check that it runs and is reached, then ask again");
        }
        // Every text of ours is UTF-8, so this is the one character that Postgres does not take.
        if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "22021") {
            return Problem::bad_request("a text holds the character NUL: leave it out");
        }
        tracing::error!(%error, "a request failed");
        let detail = "this is a fault of warmup's own: its log says more; please report it";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

/// The connection failed, or the server is starting, stopping, full, or took too long (SQLSTATE classes 08, 53, 57).
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
