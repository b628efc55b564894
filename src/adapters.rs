//! Adapters implement the ports over Postgres, Redis, SMTP and the system. Each translates its library's errors in one
//! `classify`.

pub mod from_settings;
pub mod postgres;
pub mod redis;
pub mod seal;
pub mod smtp;
pub mod system;
