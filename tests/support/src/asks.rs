//! What tests ask the caps.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use warmup::{
    domain::id::{RunId, UserId},
    ports::{CapRequest, ConnectionId},
};

/// The host of mails of which a test says no other.
pub const HOST: &str = "mail.test";

static NAMED: AtomicU64 = AtomicU64::new(0);

/// One mail of `user` to `host`, with a slot that nobody else in this process has.
pub fn ask(user: UserId, host: &str) -> CapRequest {
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    CapRequest { user, host: host.to_owned(), slot: ConnectionId { run: RunId(Uuid::nil()), number } }
}

/// One mail of each of `users`.
pub fn of(users: &[UserId]) -> Vec<CapRequest> {
    users.iter().map(|user| ask(*user, HOST)).collect()
}
