//! This module implements `mailbox test`: it tests the login of several mailboxes at once, over the path that
//! mails take.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use sqlx::PgPool;
use tokio::{sync::Semaphore, task::JoinSet};
use utoipa::ToSchema;

use super::mailbox_state::{self, ChooseError, Filter};
use crate::{
    adapters::{
        postgres::enrol,
        smtp::{Candidate, LoginTest, SmtpMailer},
    },
    domain::outcome::{Outcome, advice},
    ports::SendPermit,
};

/// The number of mailboxes that are tested at once: fast for a fleet, and harmless for a mail host.
const AT_ONCE: usize = 8;
/// The number of mailboxes that one statement reads.
const CHUNK: usize = 2_000;

/// The result of a mailbox test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Checked)]
#[serde(rename_all = "camelCase")]
pub struct MailboxTestReport {
    pub email: String,
    pub smtp: String,
    pub ok: bool,
    pub steps: Vec<Passed>,
    pub fault: Option<Failed>,
}

/// A successful step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Passed {
    pub step: String,
    pub code: Option<u16>,
    pub text: String,
    pub ms: u64,
}

/// The failed step, and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    pub stage: &'static str,
    /// The reason code that the log of a mail would show.
    pub reason: &'static str,
    pub code: Option<u16>,
    pub enhanced_code: Option<String>,
    /// The server's reply, or the error.
    pub text: String,
    pub ms: u64,
    /// The recommended action.
    pub advice: Option<String>,
}

/// Returns the mailboxes that `filter` matches, ready for a test.
pub async fn candidates(pool: &PgPool, filter: &Filter) -> Result<Vec<Candidate>, ChooseError> {
    let mut connection = pool.acquire().await?;
    let found = mailbox_state::find(&mut connection, filter).await?;
    if found.is_empty() {
        return Err(ChooseError::Nobody);
    }
    let keys: Vec<String> = found.iter().map(|found| found.email.to_lowercase()).collect();
    let mut candidates = BTreeMap::new();
    for keys in keys.chunks(CHUNK) {
        for stored in enrol::stored(&mut connection, keys).await?.into_values() {
            // Skips a mailbox that was removed meanwhile.
            let Some(sealed_password) = stored.sealed_password else { continue };
            let (mailbox, profile) = (stored.id, stored.profile);
            let (email, endpoint, username) = (profile.email, profile.smtp, profile.username);
            candidates.insert(mailbox, Candidate { mailbox, email, endpoint, username, sealed_password });
        }
    }
    Ok(candidates.into_values().collect())
}

/// Tests all candidates, several at once, and returns their reports in the order of the candidates. Calls
/// `progress` after each test.
pub async fn check(
    mailer: Arc<SmtpMailer>,
    candidates: Vec<Candidate>,
    progress: impl Fn(usize, &MailboxTestReport),
) -> Vec<MailboxTestReport> {
    let lanes = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (place, candidate) in candidates.into_iter().enumerate() {
        let (mailer, lanes) = (Arc::clone(&mailer), Arc::clone(&lanes));
        running.spawn(async move {
            let _lane = lanes.acquire().await.expect("the lanes are never closed");
            let rehearsal = mailer.test_login(&candidate, &SendPermit::always()).await;
            (place, MailboxTestReport::of(&candidate, rehearsal))
        });
    }
    let mut done = BTreeMap::new();
    while let Some(ended) = running.join_next().await {
        let (place, checked) = ended.expect("a rehearsal does not panic on what a server says");
        progress(done.len() + 1, &checked);
        done.insert(place, checked);
    }
    done.into_values().collect()
}

impl MailboxTestReport {
    fn of(candidate: &Candidate, rehearsal: LoginTest) -> MailboxTestReport {
        let LoginTest { steps, fault, last } = rehearsal;
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let passed = |step: crate::adapters::smtp::Step| {
            let ms = millis(step.took);
            Passed { step: step.step, code: step.code, text: step.text, ms }
        };
        MailboxTestReport {
            email: candidate.email.clone(),
            smtp: candidate.endpoint.to_string(),
            ok: fault.is_none(),
            steps: steps.into_iter().map(passed).collect(),
            fault: fault.map(|outcome| Failed::of(outcome, &candidate.email, millis(last))),
        }
    }
}

impl Failed {
    fn of(outcome: Outcome, email: &str, ms: u64) -> Failed {
        let reply = outcome.reply.as_ref();
        Failed {
            stage: outcome.stage.as_str(),
            reason: outcome.reason,
            code: reply.map(|reply| reply.code),
            enhanced_code: reply.and_then(|reply| reply.enhanced_text()),
            text: outcome.note,
            ms,
            advice: advice::advice_for(outcome.reason, email),
        }
    }
}
