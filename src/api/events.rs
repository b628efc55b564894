//! The route `/api/warmup/events` lists events, for example why a mailbox stopped.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::QueryParams,
    pagination,
};
use crate::reporting::event_text::{self, Event, EventFilter, event_page};

/// The number of an owner's mailboxes up to which the query uses one index scan per mailbox.
const FEW: i64 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only of the mailbox with this id.
    mailbox: Option<i64>,
    /// Only of this kind, such as sender-disabled.
    kind: Option<String>,
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

/// A page of events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventList {
    /// The newest first.
    events: Vec<EventView>,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

/// An event with its text.
#[derive(Serialize, ToSchema)]
#[schema(as = Told)]
pub(super) struct EventView {
    #[serde(flatten)]
    event: Event,
    /// The event in words: the mailbox or user, the change and its reason.
    text: String,
}

/// Lists events, the newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(Parameters),
    responses((status = 200, description = "A page of them", body = Envelope<EventList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<EventList> {
    let limit = pagination::limit(asked.limit)?;
    let (desk, owner) = (&front.desk, caller.identity.scope());
    let filter = EventFilter {
        owner,
        owns_few: owner.is_some() && desk.census.current(owner, desk.clock.now()).await?.totals.enrolled <= FEW,
        mailbox: asked.mailbox,
        kind: asked.kind,
        since: asked.since,
        until: asked.until,
        limit: limit + 1,
        before: pagination::id(asked.cursor.as_deref())?,
    };
    let mut events = event_page(&desk.database, &filter).await?;
    let next_cursor = pagination::cut(&mut events, limit, |event| event.id.to_string());
    let view = |event: Event| EventView { text: event_text::describe(&event), event };
    Ok(front.answer(EventList { events: events.into_iter().map(view).collect(), next_cursor }))
}
