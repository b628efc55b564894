//! This module serves HTTP connections, and limits their number and the time and size of a request's head.
//!
//! So one client can't block the process, neither by sending slowly nor by sending much.

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

/// The number of concurrent connections; further ones wait to be accepted.
const CONNECTIONS: usize = 512;
/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 32 * 1024;
const MOST_HEADERS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time that a stop waits for requests in progress.
const GOODBYE: Duration = Duration::from_secs(2);
/// The pause after a failed accept, which happens when the process has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves `router` until `stop` is cancelled; then finishes requests in progress, within two seconds.
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

/// Serves one connection. An error of a client ends only its own connection.
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
