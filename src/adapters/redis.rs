//! Redis: the caps, the leases, the members and the bell, each operation one script that Redis runs as one step.
//!
//! The scripts are in `lua/`, compiled into the binary, and called by their hash (EVALSHA); a server that does not know
//! one yet answers NOSCRIPT, is given it, and is asked again. Nothing that must last is kept here: a Redis that comes
//! back empty makes the fleet slow for a while and nothing else.

mod address;
mod bell;
mod caps;
mod classify;
mod connector;
mod counted;
mod fit;
mod keys;
mod leases;
mod lookout;
mod members;
mod pool;

pub use address::Address;
pub use bell::RedisNotifier;
pub use caps::RedisCaps;
pub use classify::classify;
pub use connector::Reread;
pub use counted::evalshas;
pub use fit::{acl_rule, check, check_version};
pub use keys::Keys;
pub use leases::RedisLeases;
pub use lookout::RedisObserver;
pub use members::RedisMembers;
pub use pool::{CALL_TIMEOUT, Pool, open};
