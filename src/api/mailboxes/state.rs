//! This module pauses, resumes, removes and tests mailboxes.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SharedState, detail, unknown};
use crate::{
    admin::{
        mailbox_state::{self, Change, ChangeReport, ChooseError, Filter, OPERATOR},
        mailbox_test::{self, MailboxTestReport},
    },
    api::{
        auth::Caller,
        envelope::{ApiResult, Envelope},
        extract::{Id, RawBody},
        problem::Problem,
    },
};

/// The longest reason, in characters.
const LONGEST_REASON: usize = 200;

/// The reason for the change; the body may be left out.
#[derive(Deserialize, ToSchema)]
#[schema(as = Because)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct PauseRequest {
    /// A word or a sentence, in one line.
    reason: Option<String>,
}

/// Stops a mailbox from sending and receiving until it is resumed.
#[utoipa::path(post, path = "/mailboxes/{id}/pause", tag = "mailboxes", params(("id" = i64, Path,)),
    request_body = Option<PauseRequest>,
    responses((status = 200, description = "What was done", body = Envelope<ChangeReport>)))]
pub(in crate::api) async fn pause(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
    RawBody(body): RawBody,
) -> ApiResult<ChangeReport> {
    order(&front, &caller, id, Change::Pause, &body).await
}

/// Resumes a mailbox as a sender and as a partner, whatever stopped it.
#[utoipa::path(post, path = "/mailboxes/{id}/resume", tag = "mailboxes", params(("id" = i64, Path,)),
    request_body = Option<PauseRequest>,
    responses((status = 200, description = "What was done", body = Envelope<ChangeReport>)))]
pub(in crate::api) async fn resume(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
    RawBody(body): RawBody,
) -> ApiResult<ChangeReport> {
    order(&front, &caller, id, Change::Resume, &body).await
}

/// Erases a mailbox's password and never uses it again; its log and counters stay.
#[utoipa::path(delete, path = "/mailboxes/{id}", tag = "mailboxes", params(("id" = i64, Path,)),
    responses((status = 200, description = "What was done", body = Envelope<ChangeReport>)))]
pub(in crate::api) async fn remove(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
) -> ApiResult<ChangeReport> {
    order(&front, &caller, id, Change::Remove, b"").await
}

async fn order(front: &SharedState, caller: &Caller, id: i64, change: Change, body: &[u8]) -> ApiResult<ChangeReport> {
    let known = detail(front, caller, id).await?.status;
    let reason = reason(body)?;
    let (pool, now) = (&front.desk.database, front.desk.clock.now());
    let filter = Filter { removed: true, ..of(&known.email) };
    let chosen = mailbox_state::choose(pool, &filter, change, &reason, now).await.map_err(|error| match error {
        ChooseError::Database(error) => error.into(),
        ChooseError::Unknown(_) | ChooseError::Nobody => unknown(id),
    })?;
    if known.state == "removed" && change != Change::Remove {
        return Err(Problem::conflict("the mailbox was removed: enrol it anew to use it again"));
    }
    Ok(front.answer(mailbox_state::carry_out(pool, &chosen, change, &reason, now).await?))
}

fn of(email: &str) -> Filter {
    Filter { emails: Some(vec![email.to_lowercase()]), ..Filter::default() }
}

fn reason(body: &[u8]) -> Result<String, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(OPERATOR.to_owned());
    }
    let wrong = || Problem::bad_request("the body is {\"reason\": \"a word or a sentence\"}, or left out");
    let because: PauseRequest = serde_json::from_slice(body).map_err(|_| wrong())?;
    let reason = because.reason.unwrap_or_else(|| OPERATOR.to_owned());
    let reason = reason.trim();
    let is_one = (1..=LONGEST_REASON).contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
    if is_one {
        Ok(reason.to_owned())
    } else {
        Err(Problem::unprocessable("write a reason of 1 to 200 characters in one line"))
    }
}

/// Tests a mailbox: logs in, proceeds up to RCPT to itself, then RSET. No mail is sent, nothing is changed.
#[utoipa::path(post, path = "/mailboxes/{id}/test", tag = "mailboxes", params(("id" = i64, Path,)),
    responses((status = 200, description = "How it went; `ok` says whether it can send", body = Envelope<MailboxTestReport>)))]
pub(in crate::api) async fn test(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
) -> ApiResult<MailboxTestReport> {
    let known = detail(&front, &caller, id).await?.status;
    let Some(_lane) = front.checkups.take(&caller.identity) else {
        let detail = "other mailboxes are being tried out: ask again in a moment";
        return Err(Problem::unavailable(detail).with_retry_after(5));
    };
    let desk = &front.desk;
    let candidates =
        mailbox_test::candidates(&desk.database, &of(&known.email)).await.map_err(|error| match error {
            ChooseError::Database(error) => Problem::from(error),
            ChooseError::Unknown(_) | ChooseError::Nobody => {
                Problem::conflict("the mailbox was removed: it has no password to be tried out with")
            }
        })?;
    let checked = mailbox_test::check(std::sync::Arc::clone(&desk.mailer), candidates, |_, _| {}).await;
    Ok(front.answer(checked.into_iter().next().ok_or_else(|| unknown(id))?))
}
