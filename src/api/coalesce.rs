//! `Coalescer` answers equal requests that arrive at the same time with one computation.
//!
//! ```text
//!   first      ├── computed ──┤
//!   second       · waits ·     ├── computed, for both ──┤
//!   third            · waits ·
//! ```
//!
//! Nothing is cached. A request that arrives during a computation does not get its result, which may have been
//! read before the request arrived. It waits for the next computation, together with all equal requests. So
//! fifty open pages cost as much as two, and no client gets data older than its request.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::OnceCell;

use super::{SharedState, auth::Caller, problem::Problem};
use crate::domain::id::UserId;

/// The largest answer, in bytes: larger than any page.
const LARGEST: usize = 64 * 1024 * 1024;

/// A `RequestKey` identifies equal requests: the target and the user whose mailboxes the answer covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    scope: Option<UserId>,
    target: String,
}

/// An `Answer` is a response that several requests can share.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

struct PendingRequest<A> {
    /// The lock that the running computation holds.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The cell of the next computation's answer.
    next: Option<Arc<OnceCell<A>>>,
}

/// The pending requests by key.
pub(super) struct Coalescer<Q, A>(Mutex<HashMap<Q, PendingRequest<A>>>);

/// The pending requests of the API.
pub(super) type Requests = Coalescer<RequestKey, Answer>;

impl<Q, A> Default for Coalescer<Q, A> {
    fn default() -> Coalescer<Q, A> {
        Coalescer(Mutex::default())
    }
}

/// A `Place` is a request that waits. The last one that leaves removes its key.
struct Place<'a, Q: Eq + Hash, A> {
    together: &'a Coalescer<Q, A>,
    question: Q,
    turn: Option<Arc<tokio::sync::Mutex<()>>>,
    answer: Arc<OnceCell<A>>,
}

/// Answers reads that have an end together with equal requests. Other requests pass.
pub(super) async fn together(State(front): State<SharedState>, request: Request, next: Next) -> Response {
    match question(&request) {
        Some(question) => {
            let making = async { Answer::of(next.run(request).await).await };
            front.together.answer(question, making).await.into_response()
        }
        None => next.run(request).await,
    }
}

fn question(request: &Request) -> Option<RequestKey> {
    let caller = request.extensions().get::<Caller>()?;
    let target = request.uri().path_and_query()?.as_str();
    let is_read = request.method() == Method::GET && !request.uri().path().ends_with("/stream");
    is_read.then(|| RequestKey { scope: caller.identity.scope(), target: target.to_owned() })
}

impl<Q: Clone + Eq + Hash, A: Clone> Coalescer<Q, A> {
    /// Returns the answer to `question`, computed by `making` or by the future of an equal request. The
    /// computation begins after this call in any case.
    pub(super) async fn answer(&self, question: Q, making: impl Future<Output = A>) -> A {
        let place = self.join(question);
        let turn = place.turn.clone().unwrap_or_default();
        // If the request that computes is cancelled, the next waiting request computes with its own future.
        let made = place.answer.get_or_init(async || {
            let _turn = turn.lock().await;
            place.close();
            making.await
        });
        made.await.clone()
    }

    fn join(&self, question: Q) -> Place<'_, Q, A> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(question.clone()).or_insert_with(|| PendingRequest { turn: Arc::default(), next: None });
        let answer = Arc::clone(line.next.get_or_insert_with(|| Arc::new(OnceCell::new())));
        Place { together: self, question, turn: Some(Arc::clone(&line.turn)), answer }
    }
}

impl<Q: Eq + Hash, A> Place<'_, Q, A> {
    /// Closes the place to further requests: the data that is read from now on may be older than they are.
    fn close(&self) {
        let mut lines = self.together.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.question) {
            line.next.take_if(|next| Arc::ptr_eq(next, &self.answer));
        }
    }
}

impl<Q: Eq + Hash, A> Drop for Place<'_, Q, A> {
    fn drop(&mut self) {
        let mut lines = self.together.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn.take();
        if lines.get(&self.question).is_some_and(|line| Arc::strong_count(&line.turn) == 1) {
            lines.remove(&self.question);
        }
    }
}

impl Answer {
    async fn of(response: Response) -> Answer {
        let (head, body) = response.into_parts();
        match to_bytes(body, LARGEST).await {
            Ok(body) => Answer { status: head.status, headers: head.headers, body },
            Err(_) => {
                let (head, _) = Problem::unavailable("the answer broke off: ask again").into_response().into_parts();
                Answer { status: head.status, headers: head.headers, body: Bytes::new() }
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::Semaphore;

    use super::*;

    fn asked(target: &str) -> RequestKey {
        RequestKey { scope: None, target: target.to_owned() }
    }

    /// A `Maker` numbers its answers, and finishes each when the test permits it.
    struct Maker {
        begun: AtomicUsize,
        let_go: Semaphore,
    }

    impl Maker {
        fn new() -> Maker {
            Maker { begun: AtomicUsize::new(0), let_go: Semaphore::new(0) }
        }

        async fn make(&self) -> usize {
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            self.let_go.acquire().await.unwrap().forget();
            number
        }
    }

    #[tokio::test]
    async fn who_comes_while_an_answer_is_made_gets_the_next_one_with_all_the_others() {
        let (together, maker) = (Coalescer::default(), Maker::new());
        let mut first = Box::pin(together.answer(asked("/a"), maker.make()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut others = Box::pin(join_all((0..49).map(|_| together.answer(asked("/a"), maker.make()))));
        assert!(others.as_mut().now_or_never().is_none());
        maker.let_go.add_permits(2);
        assert_eq!(first.await, 0);
        let others = others.await;
        assert!(others.len() == 49 && others.iter().all(|answer| *answer == 1));
        assert_eq!(maker.begun.load(Ordering::SeqCst), 2);
        assert!(together.0.lock().unwrap().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn whoever_leaves_before_the_answer_takes_it_from_nobody() {
        let (together, maker) = (Coalescer::default(), Maker::new());
        let mut first = Box::pin(together.answer(asked("/a"), maker.make()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(together.answer(asked("/a"), maker.make()));
        let mut third = Box::pin(together.answer(asked("/a"), maker.make()));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        drop((first, second));
        maker.let_go.add_permits(1);
        assert_eq!(third.await, 1);
        assert!(together.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn another_question_and_another_ones_are_answered_apart() {
        let (together, maker) = (Coalescer::default(), Maker::new());
        maker.let_go.add_permits(3);
        let of_ann = RequestKey { scope: Some(UserId(2)), ..asked("/a") };
        let answers = tokio::join!(
            together.answer(asked("/a"), maker.make()),
            together.answer(asked("/b"), maker.make()),
            together.answer(of_ann, maker.make())
        );
        assert_eq!(answers, (0, 1, 2));
    }
}
