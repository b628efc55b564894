//! This module writes `docs/CONFIG.md` from the table and the rules. `warmup config doc` prints it, and a
//! test compares the file.

use std::fmt::Write;

use super::{row::Row, rules::RULES, table::rows};

const HEAD: &str = "\
# Settings

<!-- Written by `warmup config doc > docs/CONFIG.md`; a test compares. -->

Settings come from the environment; `warmup local` also reads `settings.env` in its data folder, and the environment goes before
it. Blanks around a value don't count, and an empty value counts as not set. Durations
are whole numbers of the unit named; yes and no may be written as `true`, `yes`, `on`, `1` and `false`, `no`, `off`, `0`.

With a fault nothing starts: all faults are listed at once, each with what to write instead, and the exit status is 64.
A `WARMUP_*` name that is not in these tables is a fault, unless it is empty or Kubernetes injected it for a Service
called `warmup` (or `warmup-...`). Legal settings that defeat their own purpose are obeyed with a warning that shows the
arithmetic.

- `warmup config check` lists every fault and warning; where a database is set or a `warmup local` runs, also the caps that
  cannot carry the enrolled mailboxes.
- `warmup config show` lists every setting, its value and where it comes from; of secrets only whether they are set.
- `warmup config doc` prints this page; with `--env` the example of a `.env` file that stands in `.env.example`.

`OTEL_*` names are passed through untouched, as
[OpenTelemetry defines them](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
";

/// Returns the page as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let rows = rows();
    for group in rows.chunk_by(|a, b| a.group == b.group) {
        page += &format!("\n## {}\n\n", group[0].group);
        page += "| setting | what it is | type | unit | default | legal |\n|---|---|---|---|---|---|\n";
        group.iter().for_each(|row| line(&mut page, row));
    }
    page += "\n## Between settings\n\nThese are faults when broken:\n\n";
    for rule in &RULES {
        page += &format!("- {}\n", rule.sentence);
    }
    page
}

fn line(page: &mut String, row: &Row) {
    let Row { name, sentence, default, facts, .. } = row;
    let default = if default.is_empty() { "not set".to_owned() } else { format!("`{default}`") };
    let secret = if facts.secret { " (secret)" } else { "" };
    writeln!(page, "| `{name}` | {sentence} | {}{secret} | {} | {default} | {} |", facts.word, facts.unit, facts.range)
        .expect("a String takes every line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_what_the_table_says() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md")).unwrap_or_default();
        assert!(file == markdown(), "docs/CONFIG.md is old: warmup config doc > docs/CONFIG.md");
    }

    #[test]
    fn every_setting_has_one_line_of_six_cells() {
        let page = markdown();
        for row in rows() {
            let lines: Vec<_> = page.lines().filter(|line| line.starts_with(&format!("| `{}` |", row.name))).collect();
            let [line] = lines[..] else { panic!("{}: {} lines", row.name, lines.len()) };
            assert_eq!(line.matches('|').count(), 7, "{line}");
            assert!(row.sentence.ends_with('.') && row.sentence.len() < 130, "{}: {}", row.name, row.sentence);
        }
    }
}
