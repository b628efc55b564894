//! The SMTP client and the demo's sink against real sockets: a host that does what a script says, Postfix's
//! `smtp-sink`, and the sink as a process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "mail/content.rs"]
mod content;
#[path = "mail/deadlines.rs"]
mod deadlines;
#[path = "mail/definite.rs"]
mod definite;
#[path = "mail/every_host.rs"]
mod every_host;
#[path = "mail/postfix.rs"]
mod postfix;
#[path = "mail/secrets.rs"]
mod secrets;
#[path = "mail/sink.rs"]
mod sink;
#[path = "mail/table.rs"]
mod table;
#[path = "mail/tls.rs"]
mod tls;
#[path = "mail/uncertain.rs"]
mod uncertain;
#[path = "mail/world.rs"]
mod world;
