//! The metrics and labels that a PromQL expression names. It does not understand the expression (promtool does that): it
//! tells names from functions, keywords, numbers and strings.

use std::collections::BTreeSet;

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub metrics: BTreeSet<String>,
    /// A label with the metric before whose braces it stands, or of a grouping, which may be of any metric.
    pub labels: BTreeSet<(Option<String>, String)>,
}

const KEYWORDS: [&str; 11] =
    ["and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"];
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Returns what `expression` names.
pub fn named(expression: &str) -> Named {
    let mut found = Named::default();
    let tokens = tokens(expression);
    let mut place = 0;
    while place < tokens.len() {
        let (token, next) = (tokens[place].as_str(), tokens.get(place + 1).map_or("", String::as_str));
        if GROUPINGS.contains(&token) && next == "(" {
            place += 2;
            while tokens.get(place).is_some_and(|token| token != ")") {
                found.label(None, &tokens[place]);
                place += 1;
            }
        } else if token == "[" {
            place = closing(&tokens, place, "]");
        } else if is_name(token) && !is_function(next) && !KEYWORDS.contains(&token) {
            found.metrics.insert(token.to_owned());
            if next == "{" {
                let end = closing(&tokens, place + 1, "}");
                tokens[place + 1..end].iter().for_each(|label| found.label(Some(token), label));
                place = end;
            }
        }
        place += 1;
    }
    found
}

impl Named {
    fn label(&mut self, of: Option<&str>, token: &str) {
        if is_name(token) {
            self.labels.insert((of.map(str::to_owned), token.to_owned()));
        }
    }
}

fn closing(tokens: &[String], from: usize, bracket: &str) -> usize {
    tokens[from..].iter().position(|token| token == bracket).map_or(tokens.len(), |found| from + found)
}

/// Of functions `(` comes next, of aggregations it may be their grouping.
fn is_function(next: &str) -> bool {
    ["(", "by", "without"].contains(&next)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Words, numbers and single other characters; what stands in quotes is one token that is no name.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let part_of_word = |letter: char| letter.is_ascii_alphanumeric() || "_:$".contains(letter);
        let length = match first {
            '"' => quoted(rest),
            first if part_of_word(first) => rest.find(|letter| !part_of_word(letter)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            letter => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

#[test]
fn names_are_told_from_all_else() {
    let found = named(
        r#"histogram_quantile(0.95, sum by (le, call) (rate(a_bucket{job="$job", x=~"b{c}"}[$__rate_interval]))) > 1e3
           and on (job) max(d) or (e offset 5m)"#,
    );
    assert_eq!(found.metrics.iter().collect::<Vec<_>>(), ["a_bucket", "d", "e"]);
    let labels = found.labels.iter().map(|(of, label)| format!("{}{{{label}}}", of.as_deref().unwrap_or_default()));
    assert_eq!(labels.collect::<Vec<_>>(), ["{call}", "{job}", "{le}", "a_bucket{job}", "a_bucket{x}"]);
}
