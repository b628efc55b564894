//! `named_wait` extracts from a reply the time that the host asks the sender to wait.
//!
//! Hosts write it in words: "try again in 10 minutes", "retry after 1 hour 30 min", "wait 300 seconds", "in 2
//! hours you can send again". A number with a unit counts only near a word about waiting: "500 messages in 1
//! hour" names a limit.

use std::time::Duration;

/// The words about waiting.
const WAITING: &[&str] = &[
    "again",
    "retry",
    "retries",
    "wait",
    "resume",
    "resumes",
    "resumed",
    "reset",
    "resets",
    "expire",
    "expires",
    "lifted",
    "unblocked",
    "unlocked",
    "blocked",
    "paused",
    "suspended",
    "back",
    "resend",
    "resubmit",
];
/// The largest distance in words between a word about waiting and the time.
const DISTANCE: usize = 6;
/// The words before a time that comes first: "in 2 hours you can send again".
const AFTER: &[&str] = &["in", "after", "within"];
/// The bounds of a wait: a shorter one is not worth a pause; one longer than a week is neither a rate nor a
/// quota.
const SHORTEST: Duration = Duration::from_mins(1);
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Returns the wait that `text` names, limited to between a minute and a week, or `None` if it names none.
pub fn named_wait(text: &str) -> Option<Duration> {
    let lower = text.to_lowercase();
    let is_between = |c: char| !c.is_alphanumeric() && c != '.';
    let words: Vec<&str> =
        lower.split(is_between).map(|word| word.trim_matches('.')).filter(|word| !word.is_empty()).collect();
    let find = |is_wait: fn(&[&str], usize) -> bool| {
        (0..words.len()).filter(|place| is_wait(&words, *place)).find_map(|place| time_at(&words[place..]))
    };
    let time = find(follows_waiting).or_else(|| find(precedes_waiting))?;
    Some(time.clamp(SHORTEST, LONGEST))
}

/// Returns true if a word about waiting precedes `place`.
fn follows_waiting(words: &[&str], place: usize) -> bool {
    words[place.saturating_sub(DISTANCE)..place].iter().any(|word| WAITING.contains(word))
}

/// Returns true if `place` follows an "in", and a word about waiting comes after it.
fn precedes_waiting(words: &[&str], place: usize) -> bool {
    let is_after = place.checked_sub(1).is_some_and(|before| AFTER.contains(&words[before]));
    is_after && words[place..].iter().take(DISTANCE + 2).any(|word| WAITING.contains(word))
}

/// Reads the time at the start of `words`: one number and unit, or several in a row.
fn time_at(words: &[&str]) -> Option<Duration> {
    let (mut sum, mut at) = (None, 0);
    while let Some((time, used)) = part_at(&words[at..]) {
        sum = Some(sum.unwrap_or(Duration::ZERO).saturating_add(time));
        at += used;
        at += usize::from(words.get(at) == Some(&"and"));
    }
    sum
}

/// Reads one number with its unit, in two words or in one. Returns the time and the number of words.
fn part_at(words: &[&str]) -> Option<(Duration, usize)> {
    let first = words.first()?;
    let digits = first.len() - first.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit, used) = match (first.split_at(digits), words.get(1)) {
        (("", "a" | "an" | "one"), Some(unit)) => (1, *unit, 2),
        ((count, ""), Some(unit)) => (count.parse().ok()?, *unit, 2),
        ((count, unit), _) => (count.parse().ok()?, unit, 1),
    };
    let seconds: u64 = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    Some((Duration::from_secs(seconds.saturating_mul(count)), used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_near_a_word_of_waiting_is_the_wait() {
        let table = [
            ("Rate limit exceeded, try again in 10 minutes", 600),
            ("Too many messages. Please retry after 1 hour 30 min.", 5_400),
            ("please wait 300 seconds before sending more", 300),
            ("You have exceeded your quota; in 2 hours you can send again", 7_200),
            ("Sending limit reached (500 in 1 hour). Try again in 15m", 900),
            ("limit reached, try again in an hour", 3_600),
            ("try again in 5 seconds", 60),
            ("try again in 400 days", 7 * 86_400),
            ("retry in 1 day and 2 hours", 93_600),
            ("retry-after: 120 s", 120),
        ];
        for (text, seconds) in table {
            assert_eq!(named_wait(text), Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn a_time_that_states_the_limit_is_no_wait() {
        let table = [
            "User x has exceeded its 24-hour sending limit. Messages to 250 recipients out of 250 allowed have been sent",
            "500 messages in 1 hour are the limit",
            "Domain d has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
            "try again later",
            "try again in 99999999999999999999999 minutes",
            "",
        ];
        for text in table {
            assert_eq!(named_wait(text), None, "{text}");
        }
    }
}
