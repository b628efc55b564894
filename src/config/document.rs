//! The settings as a document: `docs/CONFIG.md` is this text, and a test holds it to it.

use std::fmt::Write;

use super::{Row, rows, rules::RULES};

/// Returns all settings as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let mut group = "";
    for row in rows() {
        if row.group != group {
            group = row.group;
            let _ = write!(
                text,
                "\n## {group}\n\n| name | type | default | unit | legal | what it is |\n|---|---|---|---|---|---|\n"
            );
        }
        text.push_str(&line(&row));
    }
    text.push_str("\n## Rules between settings\n\n");
    for rule in &RULES {
        let _ = writeln!(text, "- {}", rule.sentence);
    }
    text
}

const HEAD: &str = "# Settings

All settings come from the environment. This page is made by `warmup config doc`; `warmup config check` reports every
fault at once, `warmup config show` what is in force. An empty value counts as not set. `OTEL_*` variables are
OpenTelemetry's own; any other `WARMUP_*` name is a fault.
";

fn line(row: &Row) -> String {
    let default = if row.default.is_empty() { "none".to_owned() } else { format!("`{}`", row.default) };
    let legal = row.facts.range.replace('|', "\\|");
    let secret = if row.facts.secret { " A secret: never shown." } else { "" };
    format!(
        "| `{}` | {} | {default} | {} | {legal} | {}{secret} |\n",
        row.name, row.facts.word, row.facts.unit, row.sentence
    )
}
