//! This module verifies a mailbox: it sends a code to the mailbox, and its owner enters the code.
//!
//! ```text
//! request a code ─▶ limits, a mailbox of the operator, the code's hash (committed) ─▶ caps ─▶ one mail ─▶ its outcome
//!                   event verification-requested        event verification-sent, -refused, -uncertain or -unsent
//! enter the code ─▶ compared with the hash of the newest code ─▶ verified, or one attempt less
//! ```
//!
//! The code is sent through a mailbox of an admin, so the user who requests it controls neither that mailbox nor
//! its mail host. Only a person who reads the mail of the address sees the code. Mailboxes of other users never
//! send it: no owner pays for another.
//!
//! The mail takes one token of each cap, of the fleet and of the operator, and starts a cooldown of its sender.
//! It is no warm-up mail, so it counts in no quota and in no statistics. The code is stored before it is sent. A
//! process that ends in between has counted the code, so the limits hold for every code.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    adapters::{
        postgres::{
            enrol, plan_requests, transaction,
            verification::{self, CodeSender, VerifiableMailbox},
        },
        smtp::{Candidate, Notice, SmtpMailer},
    },
    domain::{
        content::one_line,
        id::{MailboxId, RunId, UserId},
        mailbox::domain_of,
        outcome::{Outcome, OutcomeKind, Stage},
        token::TokenHash,
        verification::{CODE_ATTEMPTS, CODE_LIFETIME, code, code_hash, codes_bounded_until},
    },
    ports::{CapRequest, Caps, Clock, ConnectionId, Grant, PortError, SendPermit},
    reporting::{snapshot, sql},
};

/// The longest time that a request waits for the caps. While workers use all that a cap grants, a token becomes
/// free every few seconds.
const CAPS_PATIENCE: Duration = Duration::from_secs(10);
/// The shortest time between two cap requests.
const CAPS_RETRY: Duration = Duration::from_millis(100);
/// The length of the shortest name that is hidden in the server's reply, in bytes. A shorter name is part of
/// many words.
const HIDDEN_NAME_BYTES: usize = 3;

/// The reasons why no code was sent, or why a mailbox was not verified.
#[derive(Debug, Error)]
pub enum VerificationError {
    #[error("there is no such mailbox: `warmup mailbox list` shows all")]
    Unknown,
    #[error("the mailbox was removed: enrol it anew first")]
    Removed,
    #[error("{email} is verified already ({by}): it receives from other owners")]
    Verified { email: String, by: String },
    #[error("no code can be sent now: {0}")]
    Stopped(&'static str),
    #[error(
        "no further code is sent to {email} before {}: enter the last one, or ask an admin to confirm the domain (`warmup domain \
         verify {} --user {user}`)", .until.format("%Y-%m-%d %H:%M UTC"), domain_of(.email)
    )]
    TooMany { email: String, user: String, until: DateTime<Utc>, wait: Duration },
    #[error(
        "no mailbox of an admin can send the code: ask an admin to confirm the domain (`warmup domain verify {} --user {user}`), \
         or to enrol a mailbox of their own", domain_of(.email)
    )]
    NoSender { email: String, user: String },
    #[error("all mailboxes that may send the code are busy: ask again in a minute")]
    Busy,
    #[error("the caps of the fleet are used up: ask again in {} s", .0.as_secs() + 1)]
    Capped(Duration),
    #[error("the caps can't be asked, so no code was sent: {0}; check that Redis runs, then ask again")]
    CapsAway(PortError),
    #[error(
        "the mail with the code was refused ({0}): check the address, or ask an admin to confirm the domain (`warmup domain verify`)"
    )]
    Refused(&'static str),
    #[error("the mail with the code was not started: ask again in a minute")]
    Unstarted,
    #[error("there is no valid code for {0}: ask for one (`warmup mailbox verify {0}`)")]
    NoCode(String),
    #[error(
        "that is not the code of the last mail: {} left, then ask for another code", attempts(.0)
    )]
    Wrong(i16),
    #[error("that was not the code, and no attempt is left: ask for another code")]
    Void,
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

fn attempts(left: &i16) -> String {
    if *left == 1 { "1 attempt is".to_owned() } else { format!("{left} attempts are") }
}

/// A code that was sent to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentCode {
    pub email: String,
    /// `sent`, or `uncertain` if the mail host did not say whether it took the mail.
    pub outcome: &'static str,
    /// The time until which the code can be entered.
    pub expires_at: DateTime<Utc>,
    /// The number of wrong codes that may be entered.
    pub attempts: i16,
}

/// A mailbox that receives from other owners now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedMailbox {
    pub email: String,
    /// Always `code`.
    pub verified_by: &'static str,
}

/// `CodeServices` holds the services that sending a code needs.
#[derive(Clone, Copy)]
pub struct CodeServices<'a> {
    pub pool: &'a PgPool,
    pub mailer: &'a SmtpMailer,
    pub caps: &'a dyn Caps,
    pub clock: &'a dyn Clock,
    /// The shortest time between two mails of one mailbox.
    pub cooldown: Duration,
}

/// Sends a new code to `mailbox`, which must belong to `owner` if an owner is named. The previous code becomes
/// invalid.
pub async fn send_code(
    services: CodeServices<'_>,
    mailbox: MailboxId,
    owner: Option<UserId>,
) -> Result<SentCode, VerificationError> {
    let CodeServices { pool, clock, .. } = services;
    let now = clock.now();
    let secret = code(&rand::random());
    let (mailbox, sender, id) = prepare(services, mailbox, owner, &secret).await?;
    let cleared = match take_token(services, &sender).await {
        Ok(ask) => notice(pool, &mailbox, &sender, &secret, now).await.map(|notice| (ask, notice)),
        Err(error) => Err(error),
    };
    let (ask, notice) = match cleared {
        Ok(cleared) => cleared,
        Err(error) => {
            verification::forget(&mut *pool.acquire().await?, id, unsent_reason(&error), clock.now()).await?;
            return Err(error);
        }
    };
    let outcome = services.mailer.send_notice(&notice, &SendPermit::always()).await;
    give_back(services, &ask).await;
    conclude(services, &mailbox, &notice.sender, (id, &outcome)).await?;
    let expires_at = now + CODE_LIFETIME;
    Ok(SentCode { email: mailbox.email, outcome: outcome.fate.as_str(), expires_at, attempts: CODE_ATTEMPTS })
}

/// Checks everything that can refuse a code, and stores the code.
async fn prepare(
    services: CodeServices<'_>,
    mailbox: MailboxId,
    owner: Option<UserId>,
    secret: &SecretString,
) -> Result<(VerifiableMailbox, CodeSender, i64), VerificationError> {
    let CodeServices { pool, clock, cooldown, .. } = services;
    let now = clock.now();
    let mut transaction = transaction::begin(pool).await?;
    verification::begin(&mut transaction).await?;
    let mailbox = unverified(&mut transaction, mailbox, owner).await?;
    if let Some(reason) = sql::stop_reason(pool).await? {
        return Err(VerificationError::Stopped(reason));
    }
    let VerifiableMailbox { email, user, .. } = mailbox.clone();
    let (of_mailbox, of_user) = verification::sent_codes(&mut transaction, mailbox.id, mailbox.user_id, now).await?;
    if let Some(until) = codes_bounded_until(&of_mailbox, &of_user, now) {
        let wait = (until - now).to_std().unwrap_or_default();
        return Err(VerificationError::TooMany { email, user, until, wait });
    }
    let sender = verification::sender(&mut transaction, mailbox.user_id, cooldown, now).await?;
    let sender = sender.ok_or(VerificationError::NoSender { email, user })?;
    if !sender.is_free {
        return Err(VerificationError::Busy);
    }
    let hash = code_hash(MailboxId(mailbox.id), secret);
    let id = verification::add(&mut transaction, &mailbox, &sender, &hash, (cooldown, now)).await?;
    transaction.commit().await?;
    Ok((mailbox, sender, id))
}

async fn unverified(
    connection: &mut sqlx::PgConnection,
    mailbox: MailboxId,
    owner: Option<UserId>,
) -> Result<VerifiableMailbox, VerificationError> {
    let mailbox = verification::mailbox(connection, mailbox, owner).await?.ok_or(VerificationError::Unknown)?;
    match &mailbox.verified_by {
        _ if mailbox.state == "removed" => Err(VerificationError::Removed),
        Some(by) => Err(VerificationError::Verified { email: mailbox.email.clone(), by: by.clone() }),
        None => Ok(mailbox),
    }
}

/// Takes a token of each cap for one mail of the sender. Waits up to `CAPS_PATIENCE` if there is none.
async fn take_token(services: CodeServices<'_>, sender: &CodeSender) -> Result<CapRequest, VerificationError> {
    let CodeServices { pool, caps, clock, .. } = services;
    let host = stored_sender(pool, sender).await?.1.endpoint.host.to_lowercase();
    let run = RunId(Uuid::now_v7());
    let started = clock.machine();
    for number in 0_u64.. {
        let ask = CapRequest { user: UserId(sender.user_id), host: host.clone(), slot: ConnectionId { run, number } };
        let grants = caps.grant(clock.caps_now(), std::slice::from_ref(&ask), &[]).await;
        match grants.map_err(VerificationError::CapsAway)?.pop() {
            Some(Grant::Granted) => return Ok(ask),
            Some(Grant::Refused { wait, .. }) => {
                if clock.machine().since(started) + wait > CAPS_PATIENCE {
                    return Err(VerificationError::Capped(wait));
                }
                clock.sleep(wait.max(CAPS_RETRY)).await;
            }
            None => break,
        }
    }
    Err(VerificationError::CapsAway(PortError::Unknown("the caps gave no answer".to_owned())))
}

/// Reports the closed connection if the caps count connections of the host. If the report fails, the connection
/// expires by itself.
async fn give_back(services: CodeServices<'_>, ask: &CapRequest) {
    let CodeServices { caps, clock, .. } = services;
    if caps.counts_connections(&ask.host)
        && let Err(error) = caps.grant(clock.caps_now(), &[], &[ask.connection()]).await
    {
        tracing::debug!(%error, "a connection was not given back: it ends by itself");
    }
}

/// Returns the display name of the stored sender, and its login.
async fn stored_sender(pool: &PgPool, sender: &CodeSender) -> Result<(String, Candidate), VerificationError> {
    let key = sender.email.to_lowercase();
    let mut stored = enrol::stored(&mut *pool.acquire().await?, std::slice::from_ref(&key)).await?;
    let stored = stored.remove(&key).ok_or(VerificationError::Busy)?;
    let sealed_password = stored.sealed_password.ok_or(VerificationError::Busy)?;
    let profile = stored.profile;
    let (email, endpoint, username) = (profile.email, profile.smtp, profile.username);
    Ok((profile.display_name, Candidate { mailbox: stored.id, email, endpoint, username, sealed_password }))
}

/// Returns the mail. The user chooses nothing in it but the address: a display name would be a message to a
/// stranger.
async fn notice(
    pool: &PgPool,
    mailbox: &VerifiableMailbox,
    sender: &CodeSender,
    secret: &SecretString,
    date: DateTime<Utc>,
) -> Result<Notice, VerificationError> {
    let (sender_name, sender) = stored_sender(pool, sender).await?;
    let email = &mailbox.email;
    let text = format!(
        "Somebody enrolled the mailbox {email} in a warm-up fleet and requested this code:\n\n    {code}\n\nIf that was you, \
         enter the code within {hours} hours, on the page of the mailbox or by\n`warmup mailbox verify {email} --code \
         CODE`.\n\nIf that was not you, do nothing and give the code to nobody. Without the code, only\nmailboxes of the user \
         who enrolled the address write to it.\n",
        code = secret.expose_secret(),
        hours = CODE_LIFETIME.num_hours(),
    );
    Ok(Notice {
        message_id: format!("{}@{}", Uuid::now_v7(), domain_of(&sender.email)),
        sender,
        sender_name,
        recipient: email.clone(),
        subject: format!("Verification code for {email}"),
        text: text.into(),
        date,
    })
}

/// Returns the reason code of the event that a code was not sent.
fn unsent_reason(error: &VerificationError) -> &'static str {
    match error {
        VerificationError::Capped(_) => "caps-used-up",
        VerificationError::CapsAway(_) => "caps-unreachable",
        VerificationError::Unstarted => "unstarted",
        _ => "sender-unavailable",
    }
}

/// Records the outcome of the mail.
async fn conclude(
    services: CodeServices<'_>,
    mailbox: &VerifiableMailbox,
    sender: &Candidate,
    (id, outcome): (i64, &Outcome),
) -> Result<(), VerificationError> {
    let (mut connection, now) = (services.pool.acquire().await?, services.clock.now());
    if outcome.fate == OutcomeKind::Unstarted {
        let error = VerificationError::Unstarted;
        verification::forget(&mut connection, id, unsent_reason(&error), now).await?;
        return Err(error);
    }
    let reason = Some(outcome.reason).filter(|reason| !reason.is_empty());
    let words = shown_words(outcome, sender);
    verification::note_outcome(&mut connection, id, outcome.fate.as_str(), (reason, &words), now).await?;
    if outcome.fate != OutcomeKind::Refused {
        return Ok(());
    }
    let Outcome { stage, reason, note, .. } = outcome;
    tracing::warn!(mailbox = mailbox.id, stage = stage.as_str(), reason, note, "a verification code was refused");
    Err(VerificationError::Refused(reason))
}

/// Returns the server's reply in one line, as the owner of the mailbox may read it.
///
/// It contains only replies about the recipient or the mail, without the names of the operator's mailbox.
/// Replies about the login of the operator's mailbox appear only in the log.
fn shown_words(outcome: &Outcome, sender: &Candidate) -> String {
    let concerns_recipient = matches!(outcome.stage, Stage::Rcpt | Stage::Data | Stage::Dot);
    let Some(reply) = outcome.reply.as_ref().filter(|_| concerns_recipient) else {
        return String::new();
    };
    let said = [Some(reply.code.to_string()), reply.enhanced_text(), Some(reply.text.clone())];
    let said = said.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let domain = domain_of(&sender.email);
    let operators = [&sender.email, &sender.username, &sender.endpoint.host, &domain];
    let hidden = operators.into_iter().filter(|name| name.len() >= HIDDEN_NAME_BYTES);
    one_line(&hidden.fold(said, |text, name| without(&text, name)))
}

/// Returns `text` with each `name`, in any case, replaced by `[hidden]`.
fn without(text: &str, name: &str) -> String {
    let (lower, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut shown = String::new();
    let mut end = 0;
    for (start, found) in lower.match_indices(&name) {
        shown += &text[end..start];
        shown += "[hidden]";
        end = start + found.len();
    }
    shown + &text[end..]
}

/// Verifies `mailbox`, which must belong to `owner` if an owner is named, by the code that was sent to it.
pub async fn enter_code(
    pool: &PgPool,
    mailbox: MailboxId,
    owner: Option<UserId>,
    entered: &SecretString,
    now: DateTime<Utc>,
) -> Result<VerifiedMailbox, VerificationError> {
    let mut transaction = transaction::begin(pool).await?;
    verification::begin(&mut transaction).await?;
    let mailbox = unverified(&mut transaction, mailbox, owner).await?;
    let no_code = || VerificationError::NoCode(mailbox.email.clone());
    let stored = verification::newest_code(&mut transaction, mailbox.id).await?.ok_or_else(no_code)?;
    let hash = stored.code_hash.as_deref().and_then(TokenHash::from_stored).ok_or_else(no_code)?;
    if stored.user_id != mailbox.user_id || stored.expires_at <= now || stored.attempts_left <= 0 {
        return Err(no_code());
    }
    if !hash.is(&code_hash(MailboxId(mailbox.id), entered)) {
        let left = verification::note_wrong_entry(&mut transaction, &mailbox, stored.id, now).await?;
        transaction.commit().await?;
        return Err(if left > 0 { VerificationError::Wrong(left) } else { VerificationError::Void });
    }
    if !verification::verify(&mut transaction, &mailbox, stored.id, now).await? {
        return Err(VerificationError::Unknown);
    }
    plan_requests::request(&mut transaction, &[MailboxId(mailbox.id)]).await?;
    transaction.commit().await?;
    snapshot::mark(pool).await;
    Ok(VerifiedMailbox { email: mailbox.email, verified_by: "code" })
}
