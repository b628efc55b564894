//! How every success looks.

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
    /// When it was answered, by the day clock.
    timestamp: DateTime<Utc>,
}

/// A handler's answer.
pub(super) type ApiResult<T> = Result<Json<Envelope<T>>, Problem>;

/// Something that was made.
pub(super) struct CreatedResponse<T>(pub(super) Json<Envelope<T>>);

impl<T: Serialize> IntoResponse for CreatedResponse<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, self.0).into_response()
    }
}

impl ApiState {
    /// Puts `data` into its envelope.
    pub(super) fn answer<T>(&self, data: T) -> Json<Envelope<T>> {
        Json(Envelope { success: true, data, timestamp: self.desk.clock.now() })
    }
}
