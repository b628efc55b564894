//! Long lists come a page at a time: `limit` rows, and a cursor that says where the next page begins. What a cursor holds
//! is nobody's business but ours.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use crate::reporting::Page;

/// Rows of a page, unless more or less are asked for.
const USUAL: i64 = 50;
const MOST: i64 = 500;

/// What every list takes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Rows of a page: 50 unless asked otherwise.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<i64>,
    /// The nextCursor of the page before.
    pub(super) cursor: Option<String>,
}

/// Reads `limit`.
pub(super) fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(Problem::bad_request(format!("`limit` is a number from 1 to {MOST}"))),
    }
}

/// Reads a cursor that is an id.
pub(super) fn id(cursor: Option<&str>) -> Result<Option<i64>, Problem> {
    cursor.map(|cursor| cursor.parse().map_err(|_| invalid_cursor())).transpose()
}

/// Reads both.
pub(super) fn page(asked: Option<i64>, cursor: Option<&str>) -> Result<Page, Problem> {
    Ok(Page { limit: limit(asked)?, after: id(cursor)? })
}

/// The cursor was not given by us.
pub(super) fn invalid_cursor() -> Problem {
    Problem::bad_request("`cursor` is no nextCursor of this list: leave it out to begin at the first page")
}

/// Cuts a list of one row more than a page off, and returns the cursor of the next page, if there is one.
pub(super) fn cut<T>(rows: &mut Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| more).map(cursor)
}
