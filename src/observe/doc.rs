//! `docs/METRICS.md`, written from the tables; `warmup config doc --metrics` prints it, and a test holds the file.

use std::fmt::Write;

use super::{
    fleet,
    meters::{TOLD, Told},
};

const HEAD: &str = "\
# Metrics

<!-- Written by `warmup config doc --metrics > docs/METRICS.md`; a test compares. -->

`GET /metrics` tells all of them in Prometheus' text format, without a token: at `WARMUP_HTTP_ADDR`, or, where
`WARMUP_METRICS_ADDR` is set, only there. `GET /api/warmup/metrics?format=prometheus` tells an admin the same. No label holds
a mailbox, an address, a user or a mail host.
";

const FLEET: &str = "
## The fleet

Read from Postgres at each scrape, each mailbox on its own date: every process tells the same, so take one (`max`), never a
sum. Of more than 2,000 mailboxes they are some seconds old. While Postgres is away they are missing.

";

const PROCESS: &str = "
## The process

Counted by each process since its start, through whatever it asks of the world; sum the rates. With
`WARMUP_ENABLE_DETAILED_METRICS=false` they are left out.

";

/// Returns the page.
pub fn markdown() -> String {
    let mut page = format!("{HEAD}{FLEET}");
    table(&mut page, fleet::told());
    page += PROCESS;
    table(&mut page, TOLD.iter());
    page
}

fn table<'a>(page: &mut String, told: impl Iterator<Item = &'a Told>) {
    *page += "| metric | type | labels | what it is |\n|---|---|---|---|\n";
    for Told { name, kind, labels, sentence } in told {
        let sentence = sentence.trim().trim_end_matches('.');
        writeln!(page, "| `{name}` | {kind} | {labels} | {sentence}. |").expect("a String takes every line");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_what_the_tables_say() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md")).unwrap_or_default();
        assert!(file == markdown(), "docs/METRICS.md is old: warmup config doc --metrics > docs/METRICS.md");
    }
}
