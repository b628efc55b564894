//! `Envelope` is the JSON form of every success.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiState, problem::Problem};

/// A success.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// Always true: a failure is a problem.
    success: bool,
    data: T,
    /// The time of the answer by the day clock.
    timestamp: DateTime<Utc>,
}

/// The result of a handler: an envelope or a problem.
pub(super) type ApiResult<T> = Result<Json<Envelope<T>>, Problem>;

/// A success with status 201, for a created object.
pub(super) struct CreatedResponse<T>(pub(super) Json<Envelope<T>>);

impl<T: Serialize> IntoResponse for CreatedResponse<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, self.0).into_response()
    }
}

impl ApiState {
    /// Wraps `data` in an envelope with the current time.
    pub(super) fn answer<T>(&self, data: T) -> Json<Envelope<T>> {
        Json(Envelope { success: true, data, timestamp: self.desk.clock.now() })
    }
}
