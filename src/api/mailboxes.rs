//! The route `/api/warmup/mailboxes` lists and shows enrolled mailboxes, without their passwords.

pub(super) mod enrol;
pub(super) mod state;
pub(super) mod verification;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::{Id, QueryParams},
    pagination,
    problem::Problem,
};
use crate::reporting::{MailboxDetail, MailboxFilter, MailboxStatus, Page, mailbox_detail_of, mailbox_page};

/// The state of a mailbox.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[schema(as = Standing)]
#[serde(rename_all = "lowercase")]
pub(super) enum StateFilter {
    Active,
    Off,
    Paused,
    Disabled,
    Removed,
}

impl StateFilter {
    fn word(self) -> &'static str {
        match self {
            StateFilter::Active => "active",
            StateFilter::Off => "off",
            StateFilter::Paused => "paused",
            StateFilter::Disabled => "disabled",
            StateFilter::Removed => "removed",
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only mailboxes in this state; removed ones are listed only on request.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Only those of this owner.
    user: Option<String>,
    /// Only those that submit through this mail host.
    host: Option<String>,
    /// Only those with an address in this domain.
    domain: Option<String>,
    /// Only those with this in their address.
    search: Option<String>,
    /// The number of rows of a page; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The nextCursor of the previous page.
    cursor: Option<String>,
}

/// A page of mailboxes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailboxList {
    /// The number of mailboxes on all pages.
    total: i64,
    /// By id.
    mailboxes: Vec<MailboxStatus>,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

/// Lists mailboxes, by id.
#[utoipa::path(get, path = "/mailboxes", tag = "mailboxes", params(Parameters),
    responses((status = 200, description = "A page of them", body = Envelope<MailboxList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<MailboxList> {
    let page = pagination::page(asked.limit, asked.cursor.as_deref())?;
    let lower = |text: Option<String>| text.map(|text| text.trim().to_lowercase());
    let filter = MailboxFilter {
        owner: caller.identity.scope(),
        user: lower(asked.user),
        host: lower(asked.host),
        domain: lower(asked.domain),
        state: asked.state.map(|state| state.word().to_owned()),
        search: asked.search,
    };
    let (desk, one_more) = (&front.desk, Page { limit: page.limit + 1, ..page });
    let (total, mut mailboxes) =
        mailbox_page(&desk.database, &desk.census, &filter, one_more, desk.clock.now()).await?;
    let next_cursor = pagination::cut(&mut mailboxes, page.limit, |mailbox| mailbox.id.to_string());
    Ok(front.answer(MailboxList { total, mailboxes, next_cursor }))
}

/// Shows everything about a mailbox but its password.
#[utoipa::path(get, path = "/mailboxes/{id}", tag = "mailboxes", params(("id" = i64, Path,)),
    responses((status = 200, description = "The mailbox", body = Envelope<MailboxDetail>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller, Id(id): Id) -> ApiResult<MailboxDetail> {
    Ok(front.answer(detail(&front, &caller, id).await?))
}

/// Returns a mailbox that the caller may see.
pub(super) async fn detail(front: &SharedState, caller: &Caller, id: i64) -> Result<MailboxDetail, Problem> {
    let (desk, scope) = (&front.desk, caller.identity.scope());
    let rules = (desk.settings.active_hours, desk.settings.user_daily_cap);
    let detail = mailbox_detail_of(&desk.database, scope, id, rules, desk.clock.now()).await?;
    detail.ok_or_else(|| unknown(id))
}

/// Returns the problem for a mailbox that does not exist or belongs to another user.
pub(super) fn unknown(id: i64) -> Problem {
    Problem::not_found(format!("there is no mailbox {id}: /api/warmup/mailboxes lists all"))
}
