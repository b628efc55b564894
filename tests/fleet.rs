//! Whole days and whole processes, through everything that is real: Postgres, Redis, Postfix, Dovecot, the binary.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "fleet/away.rs"]
mod away;
#[path = "fleet/bench.rs"]
mod bench;
#[path = "fleet/breaker.rs"]
mod breaker;
#[path = "fleet/canary.rs"]
mod canary;
#[path = "fleet/caps.rs"]
mod caps;
#[path = "fleet/chaos.rs"]
mod chaos;
#[path = "fleet/checkup.rs"]
mod checkup;
#[path = "fleet/clocks.rs"]
mod clocks;
#[path = "fleet/counts.rs"]
mod counts;
#[path = "fleet/credentials.rs"]
mod credentials;
#[path = "fleet/daily_limit.rs"]
mod daily_limit;
#[path = "fleet/days.rs"]
mod days;
#[path = "fleet/every_host.rs"]
mod every_host;
#[path = "fleet/failed_in_a_row.rs"]
mod failed_in_a_row;
#[path = "fleet/first_mails.rs"]
mod first_mails;
#[path = "fleet/gate.rs"]
mod gate;
#[path = "fleet/host.rs"]
mod host;
#[path = "fleet/kill.rs"]
mod kill;
#[path = "fleet/living_roster.rs"]
mod living_roster;
#[path = "fleet/local.rs"]
mod local;
#[path = "fleet/local_fleet.rs"]
mod local_fleet;
#[path = "fleet/lost_commits.rs"]
mod lost_commits;
#[path = "fleet/new_password.rs"]
mod new_password;
#[path = "fleet/operator.rs"]
mod operator;
#[path = "fleet/orders.rs"]
mod orders;
#[path = "fleet/outage.rs"]
mod outage;
#[path = "fleet/owners.rs"]
mod owners;
#[path = "fleet/postfix.rs"]
mod postfix;
#[path = "fleet/process.rs"]
mod process;
#[path = "fleet/refusals.rs"]
mod refusals;
#[path = "fleet/refused_in_a_row.rs"]
mod refused_in_a_row;
#[path = "fleet/refusing_hosts.rs"]
mod refusing_hosts;
#[path = "fleet/restore.rs"]
mod restore;
#[path = "fleet/run.rs"]
mod run;
#[path = "fleet/shards.rs"]
mod shards;
#[path = "fleet/sink.rs"]
mod sink;
#[path = "fleet/strangers.rs"]
mod strangers;
#[path = "fleet/threads.rs"]
mod threads;
#[path = "fleet/tls.rs"]
mod tls;
#[path = "fleet/truth.rs"]
mod truth;
#[path = "fleet/verification.rs"]
mod verification;
#[path = "fleet/workers.rs"]
mod workers;
