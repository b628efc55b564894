//! The Redis adapters implement caps, leases, members and notifications; Redis runs each operation as one atomic
//! script.
//!
//! The scripts are in `lua/`, compiled into the binary, and called by their hash (EVALSHA). A server that does not know
//! a script answers NOSCRIPT; then the script is sent and called again. Redis stores nothing that must last: a Redis
//! that comes back empty only slows the fleet for a while.

mod address;
mod caps;
mod classify;
mod connector;
mod counted;
mod keys;
mod leases;
mod members;
mod notifier;
mod observer;
mod pool;
mod preflight;

pub use address::Address;
pub use caps::RedisCaps;
pub use classify::classify;
pub use connector::Reread;
pub use counted::evalshas;
pub use keys::Keys;
pub use leases::RedisLeases;
pub use members::RedisMembers;
pub use notifier::RedisNotifier;
pub use observer::RedisObserver;
pub use pool::{CALL_TIMEOUT, Pool, open};
pub use preflight::{acl_rule, check, check_version};
