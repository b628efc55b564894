//! How a line of a CSV file becomes an enrolled mailbox.
//!
//! ```text
//! header ──▶ Header ──(each line)──▶ Row: what is filled, checked ──onto what is stored──▶ Profile: what shall be
//!    │                                │                                   │
//!    └──────────────── faults ────────┴───────────────────────────────────┘   all of them, with line and column
//! ```
//!
//! A known address changes only in columns that are there and filled; a new one takes the defaults for the rest.
//!
//! A fault never repeats what stood in the cell: in a file whose columns slipped, that may be a password. Line and
//! column say where to look, the message says what to write.

mod column;
mod faults;
pub(super) mod host;
mod pasted;
mod profile;
mod row;
mod value;

use std::fmt;

use chrono_tz::Tz;
use serde::Serialize;

pub use self::{
    column::{Column, Header},
    faults::{FAULTS_LISTED, Faults},
    pasted::oddity,
    profile::Profile,
    row::Row,
};

/// The user of mailboxes without one. Made by the first migration.
pub const DEFAULT_USER: &str = "operator@localhost";
/// The most mails a day that a ramp or a maximum may say: beyond it stands a typing error, not a warm-up.
pub const MOST_A_DAY: u16 = 2000;

/// The longest cell that is read, in bytes. No value is as long, and a parser that compares a megabyte takes seconds.
pub const LONGEST_CELL_BYTES: usize = 1024;
/// The longest word to which a similar one is suggested, in bytes: the comparison takes the product of both lengths.
const LONGEST_COMPARED_BYTES: usize = 64;
/// The most columns that a header may have: five times as many as there are.
const MOST_COLUMNS: usize = 100;

/// When a mailbox sends whose enrolment does not say it.
pub const DEFAULT_WINDOW: &str = "09:00-17:00";
/// How many mails of a hundred are answered likewise.
pub const DEFAULT_REPLY_RATE: u8 = 35;
const DEFAULT_RAMP_START: u16 = 3;
const DEFAULT_RAMP_STEP: u16 = 3;

/// Why a mailbox was disabled that only its access concerns: it is active again once that was changed. The words are
/// those of the reply table (`domain::outcome`).
pub const REASONS_OF_ACCESS: &[&str] = &[
    "auth-refused",
    "auth-required",
    "auth-needs-operator",
    "auth-method-retired",
    "password-change-needed",
    "auth-missing",
    "encryption-required",
    "starttls-missing",
    "certificate-bad",
    "sender-address",
];

/// Returns the address of a user as it is stored, in lower case; or the sentence that says what to write.
pub fn user_address(text: &str) -> Result<String, String> {
    value::user(text.trim())
}

/// What the settings say about enrolment.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `WARMUP_TIMEZONE`, for mailboxes without one.
    pub timezone: Tz,
    /// `WARMUP_MIN_DAILY_QUOTA`, for mailboxes without a `daily_max`.
    pub daily_max: u16,
    /// `WARMUP_ALLOW_PLAINTEXT`.
    pub allow_plaintext: bool,
    /// `WARMUP_ALLOW_PRIVATE_HOSTS`.
    pub allow_private_hosts: bool,
}

/// Something in the file that has to be written differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EnrolmentError {
    /// Counted from 1, as editors do.
    pub line: u64,
    /// The column's name; none where the whole line is meant.
    pub column: Option<&'static str>,
    /// What to write.
    pub message: String,
}

impl EnrolmentError {
    /// A fault of a whole line.
    pub fn of_line(line: u64, message: impl Into<String>) -> EnrolmentError {
        EnrolmentError { line, column: None, message: message.into() }
    }

    /// A fault of one cell.
    pub fn of_cell(line: u64, column: Column, message: impl Into<String>) -> EnrolmentError {
        EnrolmentError { line, column: Some(column.name()), message: message.into() }
    }
}

impl fmt::Display for EnrolmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "line {}, {column}: {}", self.line, self.message),
            None => write!(f, "line {}: {}", self.line, self.message),
        }
    }
}
