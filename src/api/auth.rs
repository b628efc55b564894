//! This module authenticates every request under /api by its bearer token (RFC 6750), which it accepts only in
//! the header.

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{ApiState, SharedState, problem::Problem, server::Peer};
use crate::{
    admin::tokens::{Identity, identify},
    domain::token::TokenHash,
};

/// A `Caller` is the authenticated sender of a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) identity: Identity,
    /// The hash of the token that authenticated the caller.
    pub(super) token: TokenHash,
}

impl Caller {
    /// Returns a problem if the caller is no admin.
    pub(super) fn require_admin(&self) -> Result<(), Problem> {
        if self.identity.is_admin { Ok(()) } else { Err(Problem::admins_only()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Returns the caller that `authenticate` stored; a problem if the route lies outside of it.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(no_token)
    }
}

/// Passes only requests with a valid token. A path outside /api passes without one, so that every client gets
/// its 404.
pub(super) async fn authenticate(State(front): State<SharedState>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path != "/api" && !path.starts_with("/api/") {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().copied();
    match front.caller(request.headers(), peer).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

impl ApiState {
    async fn caller(&self, headers: &HeaderMap, peer: Option<Peer>) -> Result<Caller, Problem> {
        let presented = bearer(headers).ok_or_else(no_token)?;
        let token = TokenHash::of(presented);
        let peer = peer.map_or(std::net::IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        let (desk, asked) = (&self.desk, self.desk.clock.machine());
        let look = self.throttle.admit(peer, &token, asked).await.map_err(|wait| slower(wait.as_secs() + 1))?;
        let identified = self.identities.answer(token, async {
            let admin = desk.admin_token.current(desk.clock.machine());
            let identity = identify(&desk.database, admin.as_ref(), &token, desk.clock.now()).await;
            identity.map_err(Problem::from)
        });
        let caller = match identified.await? {
            Some(identity) => {
                self.throttle.right(token);
                Ok(Caller { identity, token })
            }
            None => {
                self.throttle.wrong(peer, &token, desk.clock.machine());
                tracing::warn!(%peer, "a request came with a token that does not hold");
                let detail = "the token is unknown, expired or revoked: make another one (`warmup token create`)";
                Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
            }
        };
        drop(look);
        caller
    }
}

/// Returns the token of the `Authorization: Bearer …` header; `None` if the header is missing, repeated or
/// malformed.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
}

fn no_token() -> Problem {
    let detail = "send `Authorization: Bearer TOKEN`: `warmup token create` makes one";
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}

fn slower(seconds: u64) -> Problem {
    let detail = format!("too many wrong tokens came from this address: wait {seconds} s, then send the right one");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, axum::http::HeaderValue::from_static(value));
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn the_token_is_the_one_bearers() {
        assert_eq!(token(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token(&["bearer  abc "]).as_deref(), Some("abc"));
        for wrong in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(token(wrong), None, "{wrong:?}");
        }
    }
}
