//! The route `/api/warmup/logs` lists mails with their outcomes. It is the only endpoint that reads the log.

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::QueryParams,
    pagination,
    problem::Problem,
};
use crate::reporting::{LogEntry, LogPageFilter, log_page};

/// The outcome of a mail.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[schema(as = Status)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum LogStatus {
    Sent,
    Replied,
    Failed,
}

impl LogStatus {
    fn word(self) -> &'static str {
        match self {
            LogStatus::Sent => "SENT",
            LogStatus::Replied => "REPLIED",
            LogStatus::Failed => "FAILED",
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only mails of the mailbox with this id.
    mailbox: Option<i64>,
    /// Only with this status.
    #[param(inline)]
    status: Option<LogStatus>,
    /// Only with this reason, such as uncertain.
    reason: Option<String>,
    /// Only from this time on.
    since: Option<DateTime<Utc>>,
    /// Only before this time.
    until: Option<DateTime<Utc>>,
    /// The number of rows of a page; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The nextCursor of the previous page.
    cursor: Option<String>,
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogList {
    /// The newest days and reservations first.
    logs: Vec<LogEntry>,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

/// Lists the log, the newest first.
#[utoipa::path(get, path = "/logs", tag = "events", params(Parameters),
    responses((status = 200, description = "A page of it", body = Envelope<LogList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<LogList> {
    let limit = pagination::limit(asked.limit)?;
    let filter = LogPageFilter {
        owner: caller.identity.scope(),
        mailbox: asked.mailbox,
        status: asked.status.map(|status| status.word().to_owned()),
        reason: asked.reason,
        since: asked.since,
        until: asked.until,
        limit: limit + 1,
        before: asked.cursor.as_deref().map(cursor).transpose()?,
    };
    let mut logs = log_page(&front.desk.database, &filter, front.desk.clock.now()).await?;
    let next_cursor = pagination::cut(&mut logs, limit, |row| format!("{}.{}", row.day, row.id));
    Ok(front.answer(LogList { logs, next_cursor }))
}

fn cursor(text: &str) -> Result<(NaiveDate, i64), Problem> {
    let both = text.split_once('.').and_then(|(day, id)| Some((day.parse().ok()?, id.parse().ok()?)));
    both.ok_or_else(pagination::invalid_cursor)
}
