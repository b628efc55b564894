//! Connections, bounded in every respect: how many there are, how long a request's head may take and how large it may be.
//! One client can't hold the process up, by speaking slowly or by speaking much.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::ports::Clock;

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 512;
/// All of a request's head.
const LARGEST_HEAD: usize = 32 * 1024;
const MOST_HEADERS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for requests that are being answered.
const GOODBYE: Duration = Duration::from_secs(2);
/// After an accept that failed, because the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Answers with `router` until `stop`; then what has begun is finished, within two seconds.
pub(super) async fn listen(listener: TcpListener, router: Router, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    loop {
        let accepting = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("the room is never closed");
            (listener.accept().await, permit)
        };
        match stop.run_until_cancelled(accepting).await {
            None => break,
            Some((Ok((stream, peer)), permit)) => {
                tokio::spawn(converse(stream, Peer(peer), router.clone(), open.watcher(), permit));
            }
            Some((Err(error), _)) => {
                tracing::warn!(%error, "no connection can be accepted: trying again");
                clock.sleep(REST).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        biased;
        () = open.shutdown() => {}
        () = clock.sleep(GOODBYE) => tracing::info!("requests are still being answered: not waiting for them"),
    }
}

/// Answers what comes on one connection. What a client does wrong on it concerns nobody else.
async fn converse(stream: TcpStream, peer: Peer, router: Router, watcher: Watcher, _room: OwnedSemaphorePermit) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let _ = watcher.watch(connection).await;
}
