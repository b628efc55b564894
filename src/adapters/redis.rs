//! Redis: the caps, the leases, the members and the bell, each operation one script that Redis runs as one step.
//!
//! The scripts are in `lua/`, compiled into the binary, and called by their hash (EVALSHA); a server that does not know
//! one yet answers NOSCRIPT, is given it, and is asked again. Nothing that must last is kept here: a Redis that comes
//! back empty makes the fleet slow for a while and nothing else.

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
