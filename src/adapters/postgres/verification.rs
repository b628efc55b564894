//! This module stores the codes that verify mailboxes. A row holds the hash, its expiry, the remaining attempts, and
//! the operator's mailbox that sent the code. The module also defines the verification events, which every statement
//! that writes `mailboxes.verified_by` shares.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

use crate::domain::{
    id::{MailboxId, UserId},
    token::TokenHash,
    verification::{CODE_ATTEMPTS, CODE_LIFETIME, CODES_REMEMBERED},
};

/// Expands to a part of a WITH list that records an event for each change of `mailboxes.verified_by`. The part before
/// it is named `written` and returns `(id, user_id, domain, was, verified_by)` of each row, where `was` is the value
/// before. `$at` is the parameter of the instant. `tests/house/verified.rs` checks that every statement that writes the
/// column has it.
macro_rules! verification_events {
    ($at:literal) => {
        concat!(
            "
        verification_event AS (
            INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
            SELECT ",
            $at,
            ", CASE WHEN verified_by IS NULL THEN 'mailbox-unverified' ELSE 'mailbox-verified' END, id, user_id,
                   COALESCE(verified_by, was),
                   CASE COALESCE(verified_by, was) WHEN 'domain' THEN domain ELSE '' END
            FROM written WHERE verified_by IS DISTINCT FROM was ORDER BY id)"
        )
    };
}
pub(in crate::adapters::postgres) use verification_events;

/// A `VerifiableMailbox` is a mailbox that a code may verify.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct VerifiableMailbox {
    pub id: i64,
    pub email: String,
    pub user_id: i64,
    /// The owner's address.
    pub user: String,
    pub state: String,
    pub verified_by: Option<String>,
}

/// A `StoredCode` is the newest code of a mailbox.
#[derive(Clone, Debug, FromRow)]
pub struct StoredCode {
    pub id: i64,
    pub user_id: i64,
    /// The hash of the code; `None` once the code was entered, or if its mail was refused.
    pub code_hash: Option<Vec<u8>>,
    pub expires_at: DateTime<Utc>,
    pub attempts_left: i16,
}

/// A `CodeSender` is a mailbox of the operator that can send a code.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct CodeSender {
    pub id: i64,
    pub user_id: i64,
    pub email: String,
    /// True if no mail of the mailbox is in flight and its cooldown is over.
    pub is_free: bool,
}

/// Takes the verification lock for this transaction, so that two requests can't exceed a limit together.
pub async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('warmup verification'))";
    sqlx::query(LOCK).execute(connection).await.map(drop)
}

/// Returns the mailbox if it exists and, if `owner` is given, belongs to that owner.
pub async fn mailbox(
    connection: &mut PgConnection,
    mailbox: MailboxId,
    owner: Option<UserId>,
) -> Result<Option<VerifiableMailbox>, sqlx::Error> {
    const MAILBOX: &str = "
        SELECT m.id, m.email, m.user_id, u.email AS user, m.state, m.verified_by
        FROM mailboxes m JOIN users u ON u.id = m.user_id
        WHERE m.id = $1 AND ($2::bigint IS NULL OR m.user_id = $2)";
    sqlx::query_as(MAILBOX).bind(mailbox.0).bind(owner.map(|owner| owner.0)).fetch_optional(connection).await
}

/// Returns the times of the codes sent to the mailbox's inbox, and of those sent for mailboxes of the user, latest
/// first. An inbox is an address without its `+tag`, so another tag or owner allows no more codes for it. A removed
/// mailbox keeps its row, so a new enrolment does not either. Deletes codes that are too old to count.
pub async fn sent_codes(
    connection: &mut PgConnection,
    mailbox: i64,
    user: i64,
    now: DateTime<Utc>,
) -> Result<(Vec<DateTime<Utc>>, Vec<DateTime<Utc>>), sqlx::Error> {
    const FORGET: &str = "DELETE FROM verification_codes WHERE requested_at < $1";
    const SENT: &str = "
        SELECT ARRAY(
                   SELECT c.requested_at FROM verification_codes c JOIN mailboxes m ON m.id = c.mailbox_id
                   WHERE regexp_replace(lower(m.email), '[+].*@', '@') = (
                       SELECT regexp_replace(lower(own.email), '[+].*@', '@') FROM mailboxes own WHERE own.id = $1)
                   ORDER BY c.requested_at DESC),
               ARRAY(SELECT requested_at FROM verification_codes WHERE user_id = $2 ORDER BY requested_at DESC)";
    sqlx::query(FORGET).bind(now - CODES_REMEMBERED).execute(&mut *connection).await?;
    sqlx::query_as(SENT).bind(mailbox).bind(user).fetch_one(connection).await
}

/// Returns the operator's mailbox that sends a code for a mailbox of `owner`. It is enabled and belongs to an admin
/// other than `owner`, so that `owner` controls neither the mailbox nor the choice of its mail host. A free mailbox
/// comes first, then the one whose last code is the oldest. Returns `None` if there is no such mailbox.
pub async fn sender(
    connection: &mut PgConnection,
    owner: i64,
    cooldown: Duration,
    now: DateTime<Utc>,
) -> Result<Option<CodeSender>, sqlx::Error> {
    const SENDER: &str = "
        SELECT id, user_id, email,
               NOT EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = able.id)
               AND NOT EXISTS (SELECT FROM mailbox_days d WHERE d.mailbox_id = able.id AND NOT d.closed AND d.next_at > $2)
               AND (last_at IS NULL OR last_at + make_interval(secs => $3) <= $2) AS is_free
        FROM (
            SELECT m.id, m.user_id, m.email, code.last_at
            FROM mailboxes m
            JOIN users u ON u.id = m.user_id AND u.role = 'admin'
            LEFT JOIN (SELECT sender_id, max(requested_at) AS last_at FROM verification_codes GROUP BY sender_id) AS code
                ON code.sender_id = m.id
            WHERE m.user_id <> $1 AND m.enabled
              AND (m.state = 'active' OR (m.state = 'paused' AND m.paused_until <= $2))
              AND NOT EXISTS (
                  SELECT FROM pauses p
                  WHERE p.until > $2
                    AND (p.scope = 'host' AND p.key = lower(m.smtp_host)
                         OR p.scope = 'login' AND p.key = login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security)))
              AND NOT EXISTS (
                  SELECT FROM owner_pauses p
                  WHERE p.until > $2 AND p.user_id = m.user_id
                    AND ((p.scope = 'host' AND p.key = lower(m.smtp_host) || ':' || m.smtp_port)
                         OR (p.scope = 'domain' AND p.key = m.domain)))
            ORDER BY code.last_at NULLS FIRST, m.id LIMIT 100
        ) AS able
        ORDER BY is_free DESC, last_at NULLS FIRST, id LIMIT 1";
    sqlx::query_as(SENDER).bind(owner).bind(now).bind(cooldown.as_secs_f64()).fetch_optional(connection).await
}

/// Stores a new code of a mailbox, which replaces the previous one, and starts the cooldown of its sender. The event
/// announces that the code is about to be sent. Returns the code's id.
pub async fn add(
    connection: &mut PgConnection,
    mailbox: &VerifiableMailbox,
    sender: &CodeSender,
    hash: &TokenHash,
    (cooldown, now): (Duration, DateTime<Utc>),
) -> Result<i64, sqlx::Error> {
    const REST: &str = "
        UPDATE mailbox_days SET next_at = GREATEST(next_at, $2 + make_interval(secs => $3))
        WHERE mailbox_id = $1 AND NOT closed";
    const ADD: &str = "
        WITH new_event AS (
            INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
            VALUES ($5, 'verification-requested', $1, $2, 'code', ''))
        INSERT INTO verification_codes (mailbox_id, user_id, sender_id, code_hash, requested_at, expires_at, attempts_left)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    sqlx::query(REST).bind(sender.id).bind(now).bind(cooldown.as_secs_f64()).execute(&mut *connection).await?;
    sqlx::query_scalar(ADD)
        .bind(mailbox.id)
        .bind(mailbox.user_id)
        .bind(sender.id)
        .bind(hash.as_bytes().as_slice())
        .bind(now)
        .bind(now + CODE_LIFETIME)
        .bind(CODE_ATTEMPTS)
        .fetch_one(connection)
        .await
}

/// Deletes a code whose mail was not sent, with an event: it counts against no limit, and the previous code is valid
/// again.
pub async fn forget(
    connection: &mut PgConnection,
    code: i64,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    const FORGET: &str = "
        WITH gone AS (DELETE FROM verification_codes WHERE id = $1 RETURNING mailbox_id, user_id)
        INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
        SELECT $3, 'verification-unsent', mailbox_id, user_id, $2, '' FROM gone";
    sqlx::query(FORGET).bind(code).bind(reason).bind(now).execute(connection).await.map(drop)
}

/// Records the outcome of a code's mail, with an event that quotes the server; a refused mail voids its code.
pub async fn note_outcome(
    connection: &mut PgConnection,
    code: i64,
    outcome: &str,
    (reason, words): (Option<&str>, &str),
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    const NOTE: &str = "
        WITH written AS (
            UPDATE verification_codes
            SET outcome = $2, reason = $3, code_hash = CASE WHEN $2 <> 'refused' THEN code_hash END
            WHERE id = $1 RETURNING mailbox_id, user_id)
        INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
        SELECT $5, 'verification-' || $2, mailbox_id, user_id, COALESCE($3, ''), $4 FROM written";
    let query = sqlx::query(NOTE).bind(code).bind(outcome).bind(reason).bind(words).bind(now);
    query.execute(connection).await.map(drop)
}

/// Returns the newest code of a mailbox.
pub async fn newest_code(connection: &mut PgConnection, mailbox: i64) -> Result<Option<StoredCode>, sqlx::Error> {
    const NEWEST: &str = "
        SELECT id, user_id, code_hash, expires_at, attempts_left
        FROM verification_codes WHERE mailbox_id = $1 ORDER BY id DESC LIMIT 1";
    sqlx::query_as(NEWEST).bind(mailbox).fetch_optional(connection).await
}

/// Records a wrong entry, with an event once no attempt is left. Returns the remaining attempts.
pub async fn note_wrong_entry(
    connection: &mut PgConnection,
    mailbox: &VerifiableMailbox,
    code: i64,
    now: DateTime<Utc>,
) -> Result<i16, sqlx::Error> {
    const NOTE: &str = "
        WITH written AS (
            UPDATE verification_codes SET attempts_left = attempts_left - 1 WHERE id = $1 RETURNING attempts_left),
        new_event AS (
            INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
            SELECT $4, 'verification-failed', $2, $3, 'code', '' FROM written WHERE attempts_left <= 0)
        SELECT attempts_left FROM written";
    sqlx::query_scalar(NOTE).bind(code).bind(mailbox.id).bind(mailbox.user_id).bind(now).fetch_one(connection).await
}

/// Verifies the mailbox by its code, which can't be entered again, with an event. Returns false if the mailbox was
/// removed, changed its owner, or was verified meanwhile.
pub async fn verify(
    connection: &mut PgConnection,
    mailbox: &VerifiableMailbox,
    code: i64,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    const VERIFY: &str = concat!(
        "
        WITH used AS (UPDATE verification_codes SET code_hash = NULL WHERE id = $1),
        written AS (
            UPDATE mailboxes SET verified_by = 'code', changed_at = $4
            WHERE id = $2 AND user_id = $3 AND verified_by IS NULL AND state <> 'removed'
            RETURNING id, user_id, domain, NULL::text AS was, verified_by),",
        verification_events!("$4"),
        "
        SELECT EXISTS (SELECT FROM written)"
    );
    sqlx::query_scalar(VERIFY).bind(code).bind(mailbox.id).bind(mailbox.user_id).bind(now).fetch_one(connection).await
}
