//! A `TemplateError` locates and explains an error in a file of templates.

use std::fmt;

use serde::Serialize;

/// An error, or as a warning a likely mistake, in one line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TemplateError {
    pub line: u64,
    pub message: String,
}

impl TemplateError {
    pub(super) fn new(line: u64, message: impl Into<String>) -> TemplateError {
        TemplateError { line, message: message.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}
