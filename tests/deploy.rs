//! What the files of `deploy/` and `k8s/` are to the programs that read them: each is checked by its own. It is no part of
//! `cargo test`, because it needs those programs; `make test-all` installs them and runs this. One that is missing is a
//! failure.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "deploy/chart.rs"]
mod chart;
#[path = "deploy/compose.rs"]
mod compose;
#[path = "deploy/documents.rs"]
mod documents;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/monitoring.rs"]
mod monitoring;
#[path = "deploy/pages.rs"]
mod pages;
#[path = "deploy/presets.rs"]
mod presets;
#[path = "deploy/tools.rs"]
mod tools;
