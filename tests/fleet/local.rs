//! `warmup local` as a person with one machine uses it: the real binary with servers of its own in a data folder.

#[path = "local/caps.rs"]
mod caps;
#[path = "local/dashboard.rs"]
mod dashboard;
#[path = "local/day.rs"]
mod day;
#[path = "local/faults.rs"]
mod faults;
#[path = "local/kills.rs"]
mod kills;
#[path = "local/place.rs"]
pub mod place;
#[path = "local/rotation.rs"]
mod rotation;
#[path = "local/terminal.rs"]
mod terminal;
