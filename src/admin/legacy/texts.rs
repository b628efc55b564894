//! This module copies the templates of the older system, unless templates are stored here already.
//!
//! A text is read by the rules of a template file (docs/TEMPLATES.md), each text separately. An unreadable text
//! is reported and skipped. HTML and placeholders of the older system are rejected: our templates are plain
//! text, and a foreign placeholder would be sent unchanged.

use sqlx::PgPool;

use super::{LegacyError, LegacyReport, Options, Texts, Unreadable};
use crate::{
    adapters::postgres::{
        legacy::{Old, OldRow, REPLY_TEMPLATES, SEND_TEMPLATES},
        templates::{replace, stored},
    },
    domain::content::{Kind, Source, read, write},
};

/// The columns of which one holds the text.
const BODIES: [&str; 3] = ["body", "content", "text"];

/// Stores the templates, unless some are stored.
pub(super) async fn copy(
    pool: &PgPool,
    old: &mut Old,
    options: &Options<'_>,
    report: &mut LegacyReport,
) -> Result<Texts, LegacyError> {
    let mut sources = Vec::new();
    for (table, kind) in [(&SEND_TEMPLATES, Kind::Mail), (&REPLY_TEMPLATES, Kind::Reply)] {
        for row in old.rows(table).await.map_err(LegacyError::Old)? {
            match source(&row, kind) {
                // A duplicate text would be chosen twice as often.
                Ok(source) if sources.contains(&source) => {}
                Ok(source) => sources.push(source),
                Err(reason) => {
                    let row = row.get("id").map_or_else(|| row.place.to_string(), str::to_owned);
                    report.unreadable.push(Unreadable { table: table.name, row, reason });
                }
            }
        }
    }
    let count = |kind| sources.iter().filter(|source| source.kind == kind).count();
    let (mails, replies) = (count(Kind::Mail), count(Kind::Reply));
    let here = stored(pool).await?;
    let outcome = match () {
        () if here == sources => "unchanged",
        () if !here.is_empty() => "kept",
        () => "stored",
    };
    if outcome == "stored" && !options.dry_run {
        replace(pool, &sources, options.now, "import").await?;
    }
    Ok(Texts { mails, replies, outcome })
}

fn source(row: &OldRow, kind: Kind) -> Result<Source, String> {
    let body = BODIES.iter().find_map(|column| row.get(column)).ok_or("body: there is no text in it")?;
    let subject = row.get("subject").filter(|_| kind == Kind::Mail).map(str::trim);
    if subject.is_some_and(|subject| subject.contains(['\r', '\n'])) {
        return Err("subject: holds a line break".to_owned());
    }
    let all = [subject.unwrap_or_default(), body].join("\n");
    if has_placeholder(&all) {
        return Err("holds a placeholder: write it with {to}, {from}, {greeting} or {signoff} and import it".to_owned());
    }
    if is_html(&all) {
        return Err("is HTML: write it as plain text and import it".to_owned());
    }
    understood(Source { kind, subject: subject.map(str::to_owned), body: lines(body) })
}

/// Escapes lines that a template file would read as syntax.
fn lines(body: &str) -> String {
    let line = |line: &str| match line.starts_with('#') {
        true => format!("\\{line}"),
        false => line.to_owned(),
    };
    body.trim().lines().map(str::trim).map(line).collect::<Vec<_>>().join("\n")
}

/// Reads the text as a file that contains nothing else.
fn understood(source: Source) -> Result<Source, String> {
    let mut read = read(&write([&source])).map_err(|faults| {
        let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        messages.join("; ")
    })?;
    read.templates.pop().map(|template| template.source).ok_or_else(|| "holds no text".to_owned())
}

/// Returns whether the text holds a placeholder like `{{name}}`, `${name}`, `%name%` or `[[name]]`.
fn has_placeholder(text: &str) -> bool {
    let percent = text.split('%').skip(1).step_by(2).any(|word| !word.is_empty() && is_word(word));
    ["{{", "${", "[[", "<%"].iter().any(|mark| text.contains(mark)) || percent
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

fn is_html(text: &str) -> bool {
    let begins = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
    text.split('<').skip(1).any(|rest| begins(rest) && rest.contains('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_html_are_told_from_text() {
        for text in ["Hi {{name}}", "Hi ${to}", "Hi %first_name%,", "[[name]]", "<% name %>"] {
            assert!(has_placeholder(text), "{text}");
        }
        for text in ["<p>Hi</p>", "Hi<br/>", "<!-- a -->"] {
            assert!(is_html(text), "{text}");
        }
        for text in ["{Hi|Hello}, 5 % of 20 % are 1 %", "3 < 4 and 5 > 4", "Hi {to}"] {
            assert!(!has_placeholder(text) && !is_html(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_taken_as_it_reads_in_a_file() {
        let given = |subject: Option<&str>, body: &str| Source {
            kind: if subject.is_some() { Kind::Mail } else { Kind::Reply },
            subject: subject.map(str::to_owned),
            body: lines(body),
        };
        let taken = understood(given(Some("Notes"), "Hello,\r\n\r\n# one\nYes.\n")).unwrap();
        assert_eq!((taken.subject.as_deref(), taken.body.as_str()), (Some("Notes"), "Hello,\n\n\\# one\nYes."));
        assert_eq!(understood(given(None, "Thanks.")).unwrap().body, "Thanks.");
        assert!(understood(given(Some("Notes"), "A {b|c")).is_err());
        assert_eq!(understood(given(Some("Notes"), "A\n=== reply\nB")).unwrap().body, "A\n=== reply\nB");
    }
}
