//! `run` races connection attempts to the addresses of one host (RFC 8305, "Happy Eyeballs"). A dead address costs a
//! quarter of a second and never a mail.
//!
//! ```text
//!   order    the families alternate, beginning with that of the resolver's first address; dead addresses come last
//!   start    the next attempt starts 250 ms after the last one, or as soon as one fails
//!   end      the first connection wins; the other attempts are dropped
//! ```

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

use crate::domain::outcome::classify::DialogueEnd;

/// The "Connection Attempt Delay" that RFC 8305 section 5 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The largest number of addresses tried per mail: more than any mail host has, and four seconds of attempts.
const MOST_ADDRESSES: usize = 16;

/// A `Winner` is the result of a race.
pub(super) struct Winner<T> {
    pub(super) connection: T,
    pub(super) address: SocketAddr,
    /// The addresses whose attempts started before the winner's.
    pub(super) losers: Vec<SocketAddr>,
}

/// Returns `addresses` in the order of their attempts.
pub(super) fn order(addresses: &[SocketAddr], is_dead: impl Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(addresses.len());
    for place in 0..first.len().max(second.len()) {
        ordered.extend(first.get(place).into_iter().chain(second.get(place)).copied());
    }
    // The sort is stable: within both halves the families still alternate.
    ordered.sort_by_key(is_dead);
    ordered.truncate(MOST_ADDRESSES);
    ordered
}

/// Opens a connection to the first of `addresses` that answers. Returns the last error if none answers.
pub(super) async fn run<T, F>(
    addresses: Vec<SocketAddr>,
    open: impl Fn(SocketAddr) -> F,
) -> Result<Winner<T>, DialogueEnd>
where
    F: Future<Output = Result<T, DialogueEnd>>,
{
    let mut waiting = addresses.into_iter();
    let mut started = Vec::new();
    let mut attempts = FuturesUnordered::new();
    let mut error = DialogueEnd::Lost("the host has no address".into());
    loop {
        if let Some(address) = waiting.next() {
            started.push(address);
            let attempt = open(address);
            attempts.push(async move { (address, attempt.await) });
        }
        let next = attempts.next();
        let ended = if waiting.len() == 0 { Ok(next.await) } else { timeout(ATTEMPT_DELAY, next).await };
        match ended {
            Ok(Some((address, Ok(connection)))) => {
                let losers = started.into_iter().take_while(|started| *started != address).collect();
                return Ok(Winner { connection, address, losers });
            }
            Ok(Some((_, Err(failed)))) => error = failed,
            Ok(None) => return Err(error),
            Err(_elapsed) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{Arc, Mutex},
    };

    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::*;
    use crate::adapters::smtp::connect;

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split(' ').map(|address| address.parse().unwrap()).collect()
    }

    /// Returns a listener whose queue is full: it neither accepts nor refuses a connection. The streams fill the queue.
    async fn dead_address() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            filling.push(stream.unwrap());
        }
        (address, listener, filling)
    }

    #[test]
    fn families_take_turns_and_dead_addresses_come_last() {
        let all = addresses("[2001:db8::1]:25 [2001:db8::2]:25 192.0.2.1:25 192.0.2.2:25");
        let turns = addresses("[2001:db8::1]:25 192.0.2.1:25 [2001:db8::2]:25 192.0.2.2:25");
        assert_eq!(order(&all, |_| false), turns);
        let without = addresses("192.0.2.1:25 [2001:db8::2]:25 192.0.2.2:25 [2001:db8::1]:25");
        assert_eq!(order(&all, |address| *address == all[0]), without);
        let one_family = addresses("192.0.2.1:25 192.0.2.2:25");
        assert_eq!(order(&one_family, |_| true), one_family, "if all are dead, all are tried");
        assert!(order(&[], |_| false).is_empty());
    }

    #[tokio::test]
    async fn two_dead_addresses_cost_no_connection() {
        let (first, _first, _filling) = dead_address().await;
        let (second, _second, _more) = dead_address().await;
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = live.local_addr().unwrap();
        let winner = run(vec![first, second, address], connect::open).await.unwrap();
        assert_eq!((winner.address, winner.losers), (address, vec![first, second]));
        assert_eq!(winner.connection.peer_addr().unwrap(), address);
    }

    #[expect(clippy::disallowed_methods, reason = "the paused clock of this test")]
    #[tokio::test(start_paused = true)]
    async fn attempts_start_250_ms_apart_and_at_once_after_a_failure() {
        let all = addresses("192.0.2.1:25 192.0.2.2:25 192.0.2.3:25 192.0.2.4:25");
        let began = tokio::time::Instant::now();
        let starts = Arc::new(Mutex::new(Vec::new()));
        let winner = run(all.clone(), |address| {
            starts.lock().unwrap().push(began.elapsed().as_millis());
            let (is_failing, is_live) = (address == all[1], address == all[3]);
            async move {
                match (is_failing, is_live) {
                    (true, _) => Err(DialogueEnd::Lost("refused".into())),
                    (_, true) => Ok(()),
                    _ => pending().await,
                }
            }
        });
        assert_eq!(winner.await.unwrap().losers, all[..3]);
        assert_eq!(*starts.lock().unwrap(), [0, 250, 250, 500]);
    }

    #[tokio::test]
    async fn if_no_address_answers_the_last_error_counts() {
        let all = addresses("192.0.2.1:25 192.0.2.2:25");
        let lost = run(all, |address| async move { Err::<(), _>(DialogueEnd::Lost(address.to_string())) }).await;
        assert_eq!(lost.err(), Some(DialogueEnd::Lost("192.0.2.2:25".into())));
    }
}
