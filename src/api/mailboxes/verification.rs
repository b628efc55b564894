//! The route `/api/warmup/mailboxes/{id}/verification` sends a code to a mailbox, and checks the entered code.

use axum::{extract::State, http::StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SharedState, unknown};
use crate::{
    admin::verification::{self, CodeServices, SentCode, VerificationError, VerifiedMailbox},
    api::{
        auth::Caller,
        envelope::{ApiResult, Envelope},
        extract::{Id, JsonBody},
        problem::Problem,
    },
    domain::id::MailboxId,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct EnteredCode {
    /// As the mail shows it; case, blanks and hyphens do not count.
    #[schema(value_type = String)]
    code: SecretString,
}

/// Sends a code to a mailbox through a mailbox of the operator: at most 3 per mailbox and day, 5 per user and hour.
#[utoipa::path(post, path = "/mailboxes/{id}/verification", tag = "mailboxes", params(("id" = i64, Path,)),
    responses((status = 200, description = "The code is on its way", body = Envelope<SentCode>)))]
pub(in crate::api) async fn send(State(front): State<SharedState>, caller: Caller, Id(id): Id) -> ApiResult<SentCode> {
    let Some(_lane) = front.checkups.take(&caller.identity) else {
        let detail = "other mailboxes are being tried out: ask again in a moment";
        return Err(Problem::unavailable(detail).with_retry_after(5));
    };
    let desk = &front.desk;
    let services = CodeServices {
        pool: &desk.database,
        mailer: &desk.mailer,
        caps: &*desk.caps,
        clock: &*desk.clock,
        cooldown: desk.settings.mailbox_cooldown_min,
    };
    let sent = verification::send_code(services, MailboxId(id), caller.identity.scope()).await;
    Ok(front.answer(sent.map_err(|error| problem(error, id))?))
}

/// Verifies a mailbox by the code that was sent to it: from now on it receives from other owners.
#[utoipa::path(put, path = "/mailboxes/{id}/verification", tag = "mailboxes", params(("id" = i64, Path,)),
    request_body = EnteredCode,
    responses((status = 200, description = "It is verified", body = Envelope<VerifiedMailbox>)))]
pub(in crate::api) async fn enter(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
    JsonBody(entered): JsonBody<EnteredCode>,
) -> ApiResult<VerifiedMailbox> {
    let (desk, owner) = (&front.desk, caller.identity.scope());
    let verified =
        verification::enter_code(&desk.database, MailboxId(id), owner, &entered.code, desk.clock.now()).await;
    Ok(front.answer(verified.map_err(|error| problem(error, id))?))
}

fn problem(error: VerificationError, id: i64) -> Problem {
    let detail = error.to_string();
    match error {
        VerificationError::Database(error) => error.into(),
        VerificationError::Unknown => unknown(id),
        VerificationError::TooMany { wait, .. } => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(wait.as_secs() + 1)
        }
        VerificationError::Capped(wait) => Problem::unavailable(detail).with_retry_after(wait.as_secs() + 1),
        VerificationError::Busy | VerificationError::Unstarted => Problem::unavailable(detail).with_retry_after(60),
        VerificationError::CapsAway(_) => Problem::unavailable(detail),
        VerificationError::Removed
        | VerificationError::Verified { .. }
        | VerificationError::Stopped(_)
        | VerificationError::NoSender { .. }
        | VerificationError::NoCode(_) => Problem::conflict(detail),
        VerificationError::Refused(_) | VerificationError::Wrong(_) | VerificationError::Void => {
            Problem::unprocessable(detail)
        }
    }
}
