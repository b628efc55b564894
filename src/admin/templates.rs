//! This module selects the templates of a worker, and imports and exports the stored ones.
//!
//! At its start a worker takes the first of these that exists:
//!
//! 1. the file `WARMUP_TEMPLATES_FILE`, for a trial or a fleet of one worker;
//! 2. the templates that `warmup template import` stored, for the whole fleet;
//! 3. the built-in templates.
//!
//! If the file or the store lacks a kind, the built-in templates of that kind are used.

use std::{fmt::Write, fs, sync::Arc};

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;

use crate::{
    adapters::postgres::templates::{replace, stored},
    config::Settings,
    domain::content::{Kind, Source, TemplateError, Templates, Texts, read, write},
};

/// Returns the templates of a worker with these settings.
pub async fn texts(settings: &Settings, pool: &PgPool) -> anyhow::Result<Arc<Texts>> {
    let (from, texts) = match &settings.templates_file {
        Some(path) => {
            let shown = path.display();
            let text = fs::read_to_string(path).with_context(|| format!("WARMUP_TEMPLATES_FILE {shown}"))?;
            let templates = read(&text).map_err(ImportError::Faults)?;
            ("the file", Arc::new(Texts::own(templates)))
        }
        None => match stored(pool).await.context("the stored templates cannot be read")?.as_slice() {
            [] => ("the program", Texts::built_in()),
            sources => ("the database", Arc::new(Texts::own(understood(sources)?))),
        },
    };
    let (mails, replies) = (texts.count(Kind::Mail), texts.count(Kind::Reply));
    tracing::info!(from, mails, replies, "texts");
    Ok(texts)
}

/// Parses stored templates. Templates that this or an older release stored are valid; a row that was written by
/// hand may not be.
fn understood(sources: &[Source]) -> anyhow::Result<Templates> {
    read(&write(sources)).map_err(|faults| {
        anyhow!("table templates holds what is no template ({}): import the file again", faults[0].message)
    })
}

/// The result of an import or of its dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    pub dry_run: bool,
    pub mails: usize,
    pub replies: usize,
    /// Warnings about legal templates that are perhaps not meant.
    pub warnings: Vec<TemplateError>,
}

/// The reasons why nothing was imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file has errors: all of them.
    #[error("{}", told(.0))]
    Faults(Vec<TemplateError>),
    #[error("the database did not take the templates, nothing was changed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Replaces the stored templates by those of a file.
///
/// Returns `Faults` with every error of the file if there is any; then nothing was changed.
pub async fn import(pool: &PgPool, file: &str, now: DateTime<Utc>, dry_run: bool) -> Result<ImportReport, ImportError> {
    let read = read(file).map_err(ImportError::Faults)?;
    let (mails, replies) = (read.count(Kind::Mail), read.count(Kind::Reply));
    let sources: Vec<Source> = read.templates.into_iter().map(|template| template.source).collect();
    if !dry_run {
        replace(pool, &sources, now, "import").await?;
    }
    Ok(ImportReport { dry_run, mails, replies, warnings: read.warnings })
}

/// Deletes the stored templates, so that the built-in ones are used again.
pub async fn reset(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    replace(pool, &[], now, "reset").await
}

/// Returns a file of the templates that the fleet uses: the stored ones, or the built-in ones if none are
/// stored.
pub async fn export(pool: &PgPool) -> Result<String, sqlx::Error> {
    let sources = stored(pool).await?;
    Ok(if sources.is_empty() { Texts::built_in_file() } else { write(&sources) })
}

fn told(faults: &[TemplateError]) -> String {
    let mut text = match faults.len() {
        1 => "the templates have a fault:".to_owned(),
        faults => format!("the templates have {faults} faults:"),
    };
    faults.iter().for_each(|fault| write!(text, "\n  {fault}").expect("a string takes all that is written"));
    text
}
