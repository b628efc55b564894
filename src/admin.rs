//! Use cases that commands and API share: they change mailboxes, users, tokens, templates, pauses and fleet orders.

pub mod admin_token;
pub mod domains;
pub mod fleet_orders;
pub mod import;
pub mod keys;
pub mod legacy;
pub mod mailbox_state;
pub mod mailbox_test;
pub mod pauses;
pub mod reshard_check;
pub mod services;
pub mod templates;
pub mod tokens;
pub mod users;
pub mod verification;
