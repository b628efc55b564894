//! This module reads `limit` and `cursor`, and cuts long lists into pages. The content of a cursor is private to
//! the server.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::reporting::Page;

/// The default number of rows of a page.
const USUAL: i64 = 50;
const MOST: i64 = 500;

/// The parameters that every list accepts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// The number of rows of a page; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<i64>,
    /// The nextCursor of the previous page.
    pub(super) cursor: Option<String>,
}

/// Checks `limit` and returns it, or its default.
pub(super) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(Problem::bad_request(format!("`limit` is a number from 1 to {MOST}"))),
    }
}

/// Parses a cursor that is an id.
pub(super) fn id(cursor: Option<&str>) -> Result<Option<i64>, Problem> {
    cursor.map(|cursor| cursor.parse().map_err(|_| invalid_cursor())).transpose()
}

/// Parses both parameters.
pub(super) fn page(asked: Option<i64>, cursor: Option<&str>) -> Result<Page, Problem> {
    Ok(Page { limit: limit(asked)?, after: id(cursor)? })
}

/// Returns the problem for a cursor that this list did not issue.
pub(super) fn invalid_cursor() -> Problem {
    Problem::bad_request("`cursor` is no nextCursor of this list: leave it out to begin at the first page")
}

/// Truncates a list of one row more than a page, and returns the cursor of the next page, if there is one.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(cursor)
}
