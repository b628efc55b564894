//! The domain layer holds the pure decisions of warmup: no I/O, no clock and no random source.
//!
//! Callers pass instants and random numbers as arguments, so a test can check each rule against the sentence
//! that states it. The arithmetic never narrows a number silently; each conversion that can fail states its
//! fallback.

#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )
)]

pub mod address;
pub mod address_index;
pub mod caps;
pub mod clock_guard;
pub mod content;
pub mod daily_room;
pub mod enrolment;
pub mod free_mail;
pub mod health;
pub mod helo_name;
pub mod host_window;
pub mod hosts;
pub mod id;
pub mod lane_share;
pub mod lease;
pub mod lease_rotation;
pub mod ledger_mark;
pub mod mailbox;
pub mod maintenance;
pub mod next_send;
pub mod outcome;
pub mod ownership;
pub mod pairing;
pub mod partners;
pub mod plan;
pub mod planned_curve;
pub mod probe;
pub mod progress;
pub mod ramp;
pub mod reply;
pub mod roster;
pub mod shard;
pub mod shard_set;
pub mod suspension;
pub mod time;
pub mod token;
pub mod uniform;
pub mod urgency;
pub mod verification;
