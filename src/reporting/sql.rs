//! This module queries the state of mailboxes and fleet for people. No mail waits for these queries, and no result
//! holds a sealed password.

mod alerts;
mod day;
mod directory;
mod events;
mod fleet;
mod history;
mod hosts;
mod logs;
mod mailbox;
mod maintenance_status;
mod owners;
mod pages;
mod planned_shares;
mod quota;
mod quota_search;
mod replies;
mod snapshot;
mod troubles;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};

pub use self::{
    day::quarters,
    directory::directory,
    events::{Asked, Event, events, kinds},
    fleet::{
        Batch, Fleet, batches, fleet, is_read_only, is_set_back, order, server_time, slow_hosts, stop_reason,
        users_at_limit,
    },
    history::{History, histories},
    hosts::{OnHost, hosts},
    logs::{LogFilter, LogView, logs},
    mailbox::{Day, LastRefusal, MailboxView, Selection, last_days, mailbox_id, mailboxes},
    maintenance_status::{Upkeep, upkeep},
    owners::{OfOwner, owners},
    pages::{
        EventFilter, LogEntry, LogPageFilter, MailboxFilter, count_mailboxes, event_page, found_mailboxes, log_page,
        mailbox_ids, owns,
    },
    quota::{Page, QuotaRow, quota_of, quotas, quotas_of},
    quota_search::{QuotaSearch, quotas_found},
    replies::{Owed, owed_replies},
    snapshot::{Age, IfBusy, SnapshotRow, SnapshotVersion, Throughput, Totals, WindowSums, counted, mark, refresh},
    troubles::{
        Attendance, ExpiredGrants, HinderedWorker, PausedPlace, RefusedResults, UnverifiedMailboxes, attendance,
        expired_grants, hindered_workers, paused_hosts, paused_places, refused_results, suspected_hosts,
        unverified_mailboxes, without_worker,
    },
};
use crate::domain::{
    id::{MailboxId, UserId},
    partners::PoolMember,
    roster::RECEIVE_MARGIN,
    time::LocalDates,
};

/// `Partners` counts the possible partners of a mailbox. Exact numbers matter only if there is no partner: a mail needs
/// just one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Partners {
    /// The mailboxes that take part, including paused ones; a lower bound.
    pub enrolled: i64,
    /// Those that can receive now; a lower bound.
    pub receiving: i64,
    /// Those that can receive more mails today; a lower bound.
    pub open: i64,
}

/// Counts the possible partners of `mailbox` at `now`.
pub async fn partners(pool: &PgPool, mailbox: MailboxId, now: DateTime<Utc>) -> Result<Partners, sqlx::Error> {
    const PARTNERS: &str = "
        WITH own AS MATERIALIZED (
            SELECT user_id, verified_by IS NOT NULL AS verified FROM mailboxes WHERE id = $1
        ),
        one AS MATERIALIZED (
            SELECT FROM mailboxes
            WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until <= $2)
              AND (receives OR receive_until <= $2) AND id <> $1
              AND (user_id = (SELECT user_id FROM own) OR verified_by IS NOT NULL AND (SELECT verified FROM own))
            LIMIT 1
        ),
        open AS MATERIALIZED (
            SELECT FROM mailboxes m
            LEFT JOIN unnest($3::text[], $4::date[]) AS elsewhere (zone, day) ON elsewhere.zone = m.timezone
            WHERE m.enabled AND (m.state = 'active' OR m.state = 'paused' AND m.paused_until <= $2)
              AND (m.receives OR m.receive_until <= $2) AND m.id <> $1
              AND (m.user_id = (SELECT user_id FROM own) OR m.verified_by IS NOT NULL AND (SELECT verified FROM own))
              AND COALESCE((SELECT rd.received FROM received_days rd
                            WHERE rd.day = COALESCE(elsewhere.day, ($2 AT TIME ZONE 'UTC')::date)
                              AND rd.mailbox_id = m.id), 0)
                  < LEAST(m.daily_max, m.ramp_start + m.grown::int * m.ramp_step) + $5::int
            LIMIT 1
        )
        SELECT CASE WHEN EXISTS (SELECT FROM one) THEN 1
                    ELSE (SELECT count(*) FROM mailboxes
                          WHERE enabled AND state IN ('active', 'paused') AND id <> $1
                            AND (user_id = (SELECT user_id FROM own) OR verified_by IS NOT NULL AND (SELECT verified FROM own))
                    ) END AS enrolled,
               (SELECT count(*) FROM one) AS receiving, (SELECT count(*) FROM open) AS open";
    let elsewhere = LocalDates::off_utc(now);
    sqlx::query_as(PARTNERS)
        .bind(mailbox.0)
        .bind(now)
        .bind(elsewhere.zones)
        .bind(elsewhere.days)
        .bind(i32::from(RECEIVE_MARGIN))
        .fetch_one(pool)
        .await
}

/// Returns the mailboxes that take part in the pairing, each with its quota after the ramp.
pub async fn members(connection: &mut PgConnection) -> Result<Vec<PoolMember>, sqlx::Error> {
    const MEMBERS: &str = "
        SELECT m.email, u.email, m.domain, m.daily_max, m.verified_by IS NOT NULL FROM mailboxes m JOIN users u ON u.id = m.user_id
        WHERE m.enabled AND m.state IN ('active', 'paused') ORDER BY m.id";
    let rows: Vec<Pairing> = sqlx::query_as(MEMBERS).fetch_all(connection).await?;
    Ok(rows.into_iter().map(member).collect())
}

/// Returns the mailboxes that take part in the pairing, from the last snapshot, each with its quota today.
pub async fn owing_members(pool: &PgPool) -> Result<Vec<PoolMember>, sqlx::Error> {
    const MEMBERS: &str = "
        SELECT m.email, u.email, m.domain, s.quota::smallint, m.verified_by IS NOT NULL
        FROM standings s JOIN mailboxes m ON m.id = s.mailbox_id JOIN users u ON u.id = m.user_id
        WHERE m.enabled AND m.state IN ('active', 'paused') ORDER BY m.id";
    let rows: Vec<Pairing> = sqlx::query_as(MEMBERS).fetch_all(pool).await?;
    Ok(rows.into_iter().map(member).collect())
}

/// Returns the mailboxes of `user` that take part in the pairing, each with its quota after the ramp.
pub async fn members_of(connection: &mut PgConnection, user: UserId) -> Result<Vec<PoolMember>, sqlx::Error> {
    const MEMBERS: &str = "
        SELECT m.email, u.email, m.domain, m.daily_max, m.verified_by IS NOT NULL FROM mailboxes m JOIN users u ON u.id = m.user_id
        WHERE m.enabled AND m.state IN ('active', 'paused') AND m.user_id = $1 ORDER BY m.id";
    let rows: Vec<Pairing> = sqlx::query_as(MEMBERS).bind(user.0).fetch_all(connection).await?;
    Ok(rows.into_iter().map(member).collect())
}

/// A row of address, owner, domain, quota, and whether the mailbox is verified.
type Pairing = (String, String, String, i16, bool);

fn member((email, owner, domain, quota, verified): Pairing) -> PoolMember {
    PoolMember { email, owner, domain, quota: u16::try_from(quota).unwrap_or_default(), verified }
}
