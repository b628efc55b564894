//! The dashboard as people use it: in a real Chromium, on real workers that send to a real mail host. It is no part of
//! `cargo test`, because it needs that browser and playwright-core; `make test-all` installs both and runs this.
//!
//! Each test sets a stage and plays a script of tests/browser on it. A script says when it has come to a moment, and waits
//! there until this side has looked or done something. Whatever a page logs as an error, and whatever its policy refuses,
//! fails the script.

#![cfg(test)]

#[path = "browser/demo.rs"]
mod demo;
#[path = "browser/looks.rs"]
mod looks;
#[path = "browser/operator.rs"]
mod operator;
#[path = "browser/outage.rs"]
mod outage;
#[path = "browser/script.rs"]
mod script;
#[path = "browser/stage.rs"]
mod stage;
#[path = "browser/user.rs"]
mod user;
