//! This module registers the routes and generates their OpenAPI document, both from the handlers, so that
//! neither is incomplete.

use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    SharedState, control, day, domains, events, logs, mailboxes, me, metrics, pauses, performance, problem::Problem,
    quota, stream, tokens, users,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "warmup",
        description = "Every pod answers for the whole fleet. Rates are percent from 0 to 100, durations milliseconds, \
                       times RFC 3339 in UTC. A failure is a problem (RFC 9457) that says what to do."
    ),
    components(schemas(Problem)),
    security(("token" = []))
)]
struct Document;

/// Returns every route under /api.
pub(super) fn routes() -> OpenApiRouter<SharedState> {
    let warmup = OpenApiRouter::new()
        .routes(routes!(control::show, control::order))
        .routes(routes!(metrics::show))
        .routes(routes!(day::show))
        .routes(routes!(stream::follow))
        .routes(routes!(quota::list))
        .routes(routes!(performance::show))
        .routes(routes!(mailboxes::list, mailboxes::enrol::create))
        .merge(OpenApiRouter::new().routes(routes!(mailboxes::enrol::import)).layer(mailboxes::enrol::takes_files()))
        .routes(routes!(mailboxes::show, mailboxes::enrol::change, mailboxes::state::remove))
        .routes(routes!(mailboxes::state::pause))
        .routes(routes!(mailboxes::state::resume))
        .routes(routes!(mailboxes::state::test))
        .routes(routes!(mailboxes::verification::send, mailboxes::verification::enter))
        .routes(routes!(pauses::list, pauses::end))
        .routes(routes!(domains::list, domains::verify, domains::revoke))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::show, users::change))
        .routes(routes!(me::show))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(events::list))
        .routes(routes!(logs::list));
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/warmup", warmup)
}

/// Returns the served document, in which every operation may also return a problem and needs a token.
pub(super) fn json(mut document: utoipa::openapi::OpenApi) -> String {
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", scheme);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
    }
    document.to_pretty_json().unwrap_or_default()
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

fn problem() -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("Why it was not done, and what to do")
        .content("application/problem+json", content)
        .build()
}
