//! This module turns the lines of a CSV file into enrolled mailboxes.
//!
//! ```text
//! header ──▶ Header ──(each line)──▶ Row: filled, checked cells ──merged with the stored──▶ Profile: new state
//!    │                                │                                   │
//!    └──────────────── errors ────────┴───────────────────────────────────┘   all of them, with line and column
//! ```
//!
//! A known address changes only in columns that are present and filled; a new one takes the defaults for the
//! rest.
//!
//! An error never repeats the text of a cell: in a file with shifted columns that text may be a password.
//! Line and column locate the error, and its message says what to write.

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

/// The user of mailboxes without one. The first migration creates it.
pub const DEFAULT_USER: &str = "operator@localhost";
/// The most mails a day that a ramp or a maximum may name. A larger number is a typing error, not a warm-up.
pub const MOST_A_DAY: u16 = 2000;

/// The longest accepted cell in bytes. No value is as long, and a parser that compares a megabyte takes
/// seconds.
pub const LONGEST_CELL_BYTES: usize = 1024;
/// The longest word in bytes that gets a suggestion: the comparison takes the product of both lengths.
const LONGEST_COMPARED_BYTES: usize = 64;
/// The most columns of a header: five times the existing ones.
const MOST_COLUMNS: usize = 100;

/// The sending window of a mailbox whose enrolment names none.
pub const DEFAULT_WINDOW: &str = "09:00-17:00";
/// The percentage of answered mails of a mailbox whose enrolment names none.
pub const DEFAULT_REPLY_RATE: u8 = 35;
const DEFAULT_RAMP_START: u16 = 3;
const DEFAULT_RAMP_STEP: u16 = 3;

/// The reasons of a disabled mailbox that only its access data cause: new access data make it active again.
/// They are reasons of the reply table (`domain::outcome`).
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

/// Returns the address of a user as stored, in lower case. The error is a sentence that says what to write.
pub fn user_address(text: &str) -> Result<String, String> {
    value::user(text.trim())
}

/// The settings that affect the enrolment.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `WARMUP_TIMEZONE`, for mailboxes without a time zone.
    pub timezone: Tz,
    /// `WARMUP_MIN_DAILY_QUOTA`, for mailboxes without a `daily_max`.
    pub daily_max: u16,
    /// `WARMUP_ALLOW_PLAINTEXT`.
    pub allow_plaintext: bool,
    /// `WARMUP_ALLOW_PRIVATE_HOSTS`.
    pub allow_private_hosts: bool,
}

/// An error in the file, which the operator must correct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EnrolmentError {
    /// The line, counted from 1 as in editors.
    pub line: u64,
    /// The column's name; `None` for an error of the whole line.
    pub column: Option<&'static str>,
    /// The instruction: what to write.
    pub message: String,
}

impl EnrolmentError {
    /// Creates an error of a whole line.
    pub fn of_line(line: u64, message: impl Into<String>) -> EnrolmentError {
        EnrolmentError { line, column: None, message: message.into() }
    }

    /// Creates an error of one cell.
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
