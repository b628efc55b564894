//! `Arrays` holds mailboxes as columns: one array per column, for `unnest`.

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use super::MailboxWrite;
use crate::domain::shard::shard_of;

/// `Arrays` holds the columns in the order in which the statements name them.
#[derive(Default)]
pub(super) struct Arrays {
    id: Vec<i64>,
    user_id: Vec<i64>,
    email: Vec<String>,
    domain: Vec<String>,
    display_name: Vec<String>,
    username: Vec<String>,
    sealed_password: Vec<Option<Vec<u8>>>,
    smtp_host: Vec<String>,
    smtp_port: Vec<i32>,
    smtp_security: Vec<&'static str>,
    imap_host: Vec<Option<String>>,
    imap_port: Vec<Option<i32>>,
    imap_security: Vec<Option<&'static str>>,
    timezone: Vec<&'static str>,
    window_start: Vec<i16>,
    window_end: Vec<i16>,
    days: Vec<i16>,
    ramp_start: Vec<i16>,
    ramp_step: Vec<i16>,
    daily_max: Vec<i16>,
    reply_rate: Vec<i16>,
    enabled: Vec<bool>,
    shard: Vec<i32>,
    new_access: Vec<bool>,
    verified_by: Vec<Option<&'static str>>,
}

impl Arrays {
    pub(super) fn of(entries: &[MailboxWrite], shards: u16) -> Arrays {
        let mut arrays = Arrays::default();
        entries.iter().for_each(|entry| arrays.push(entry, shards));
        arrays
    }

    fn push(&mut self, entry: &MailboxWrite, shards: u16) {
        let profile = &entry.profile;
        self.id.push(entry.id.0);
        self.user_id.push(entry.user.0);
        self.email.push(profile.email.clone());
        self.domain.push(profile.domain());
        self.display_name.push(profile.display_name.clone());
        self.username.push(profile.username.clone());
        self.sealed_password.push(entry.sealed_password.clone());
        self.smtp_host.push(profile.smtp.host.clone());
        self.smtp_port.push(i32::from(profile.smtp.port));
        self.smtp_security.push(profile.smtp.security.as_str());
        self.imap_host.push(profile.imap.as_ref().map(|at| at.host.clone()));
        self.imap_port.push(profile.imap.as_ref().map(|at| i32::from(at.port)));
        self.imap_security.push(profile.imap.as_ref().map(|at| at.security.as_str()));
        self.timezone.push(profile.schedule.zone.name());
        self.window_start.push(profile.schedule.window.start() as i16);
        self.window_end.push(profile.schedule.window.end() as i16);
        self.days.push(i16::from(profile.schedule.days.bits()));
        self.ramp_start.push(profile.ramp.start as i16);
        self.ramp_step.push(profile.ramp.step as i16);
        self.daily_max.push(profile.ramp.daily_max as i16);
        self.reply_rate.push(i16::from(profile.reply_rate));
        self.enabled.push(profile.enabled);
        self.shard.push(shard_of(entry.id, shards).0);
        self.new_access.push(entry.new_access);
        self.verified_by.push(entry.verified_by);
    }

    /// Binds the columns as the next 25 parameters of `query`.
    pub(super) fn bind_to(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        query
            .bind(self.id)
            .bind(self.user_id)
            .bind(self.email)
            .bind(self.domain)
            .bind(self.display_name)
            .bind(self.username)
            .bind(self.sealed_password)
            .bind(self.smtp_host)
            .bind(self.smtp_port)
            .bind(self.smtp_security)
            .bind(self.imap_host)
            .bind(self.imap_port)
            .bind(self.imap_security)
            .bind(self.timezone)
            .bind(self.window_start)
            .bind(self.window_end)
            .bind(self.days)
            .bind(self.ramp_start)
            .bind(self.ramp_step)
            .bind(self.daily_max)
            .bind(self.reply_rate)
            .bind(self.enabled)
            .bind(self.shard)
            .bind(self.new_access)
            .bind(self.verified_by)
    }
}
