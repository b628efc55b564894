//! This module defines the names of this program's spans and attributes. The dashboards and their test use
//! them.

/// The target of the spans that are created during an operation. Text logs omit them.
pub const TARGET: &str = "warmup_span";

/// The name of the tracer.
pub const SCOPE: &str = "warmup";

pub const TICK: &str = "warmup.tick";
pub const BATCH: &str = "warmup.batch";
pub const SEND: &str = "warmup.send";
pub const REPLY: &str = "warmup.reply";

/// The last step of a mail: the write of its outcome.
pub const SETTLE: &str = "settle";

/// All names of spans, except those of HTTP requests and statements, which are named after the request or the
/// statement.
pub const NAMES: [&str; 17] = [
    TICK, BATCH, SEND, REPLY, "caps", "reserve", "connect", "tls", "greeting", "starttls", "ehlo", "auth", "mail",
    "rcpt", "data", "dot", SETTLE,
];

/// The outcome: `sent`, `refused`, `uncertain` or `unstarted`.
pub const OUTCOME: &str = "warmup.outcome";
/// The reason of a failed mail: a word of `logs.reason`.
pub const FAILURE_CLASS: &str = "warmup.failure.class";
/// The stage at which the dialogue of a mail failed: a word of `logs.notes`.
pub const FAILURE_STAGE: &str = "warmup.failure.stage";
pub const WORKER: &str = "warmup.worker";
pub const MAILBOX: &str = "warmup.mailbox";
pub const SHARDS: &str = "warmup.shards";
pub const MAILBOXES: &str = "warmup.mailboxes";
pub const MAILS: &str = "warmup.mails";
pub const REPLIES: &str = "warmup.replies";
pub const SMTP_CODE: &str = "smtp.response.code";
pub const ENHANCED_CODE: &str = "smtp.enhanced_code";

/// All attributes of spans: those of this program and those of the semantic conventions.
pub const ATTRIBUTES: [&str; 21] = [
    OUTCOME,
    FAILURE_CLASS,
    FAILURE_STAGE,
    WORKER,
    MAILBOX,
    SHARDS,
    MAILBOXES,
    MAILS,
    REPLIES,
    SMTP_CODE,
    ENHANCED_CODE,
    "messaging.system",
    "messaging.operation.name",
    "messaging.message.id",
    "server.address",
    "server.port",
    "error.type",
    "db.system.name",
    "db.operation.name",
    "http.route",
    "http.response.status_code",
];
