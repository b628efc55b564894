//! This module builds the requests that tests send to the caps.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use warmup::{
    domain::id::{RunId, UserId},
    ports::{CapRequest, ConnectionId},
};

/// The host of mails for which a test names no other.
pub const HOST: &str = "mail.test";

static NAMED: AtomicU64 = AtomicU64::new(0);

/// Returns a request for one mail of `user` to `host`, with a slot that is unique in this process.
pub fn ask(user: UserId, host: &str) -> CapRequest {
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    CapRequest { user, host: host.to_owned(), slot: ConnectionId { run: RunId(Uuid::nil()), number } }
}

/// Returns a request for one mail of each of `users`.
pub fn of(users: &[UserId]) -> Vec<CapRequest> {
    users.iter().map(|user| ask(*user, HOST)).collect()
}
