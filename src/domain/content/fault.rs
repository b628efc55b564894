//! What is wrong with a file of templates, and where.

use std::fmt;

use serde::Serialize;

/// One line of a file and what is wrong with it; or, as a warning, what is perhaps not meant.
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
