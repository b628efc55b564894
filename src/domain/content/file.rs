//! This module reads and writes the file of templates, which an operator edits:
//!
//! ```text
//! # A line that begins with # is a note.
//! === mail
//! Subject: {Notes|The main points} from {this morning|the call}
//!
//! {greeting}
//!
//! I wrote down {the main points|what we agreed on}
//! while it was fresh.
//!
//! {signoff}
//!
//! === reply
//!
//! {Thank you, {to}|Thank you}, that helps.
//! ```
//!
//! An empty line ends a paragraph. A line that begins with blanks is always text, whatever it contains. The
//! reader reports all errors of a file at once, in the order of the lines.

use std::borrow::Cow;

use super::{
    fault::TemplateError,
    template::{Draft, Kind, Source, Template},
};

/// The prefix of a line that begins a template.
const MARK: &str = "===";

/// The number of templates of a kind below which texts repeat often.
const FEW: usize = 20;

/// The templates of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    pub templates: Vec<Template>,
    /// Legal lines that are likely mistakes.
    pub warnings: Vec<TemplateError>,
}

impl Templates {
    pub fn count(&self, kind: Kind) -> usize {
        self.templates.iter().filter(|template| template.source.kind == kind).count()
    }
}

/// Reads a file of templates.
///
/// Returns every error in it, with its line, if there is any.
pub fn read(text: &str) -> Result<Templates, Vec<TemplateError>> {
    let (mut read, mut faults) = (Templates::default(), Vec::new());
    let drafts = drafts(text.strip_prefix('\u{feff}').unwrap_or(text), &mut faults);
    for draft in drafts {
        match draft.finish(&mut read.warnings) {
            Ok(template) => read.templates.push(template),
            Err(more) => faults.extend(more),
        }
    }
    if read.templates.is_empty() && faults.is_empty() {
        faults
            .push(TemplateError::new(1, "there is no template in it: begin one with a line `=== mail` or `=== reply`"));
    }
    if !faults.is_empty() {
        faults.sort();
        return Err(faults);
    }
    let few: Vec<TemplateError> = Kind::ALL.into_iter().filter_map(|kind| few(&read, kind)).collect();
    read.warnings.extend(few);
    Ok(read)
}

/// Writes templates as a file that `read` turns into the original ones.
pub fn write<'a>(sources: impl IntoIterator<Item = &'a Source>) -> String {
    let template = |source: &Source| {
        let subject = source.subject.as_ref().map(|subject| format!("Subject: {subject}\n")).unwrap_or_default();
        let body: Vec<_> = source.body.lines().map(written).collect();
        format!("{MARK} {}\n{subject}\n{}\n", source.kind, body.join("\n"))
    };
    sources.into_iter().map(template).collect::<Vec<_>>().join("\n")
}

/// Returns a line of a body for the file. A line that `read` would misunderstand gets a leading blank, which
/// `read` ignores.
fn written(line: &str) -> Cow<'_, str> {
    match line.starts_with('#') || line.starts_with(MARK) || is_subject(line) {
        true => Cow::Owned(format!(" {line}")),
        false => Cow::Borrowed(line),
    }
}

fn few(read: &Templates, kind: Kind) -> Option<TemplateError> {
    let count = read.count(kind);
    let last = read.templates.iter().rfind(|template| template.source.kind == kind)?;
    let message = format!("only {count} of kind {kind}: the same words go out often, {FEW} or more vary");
    (count < FEW).then(|| TemplateError::new(last.line, message))
}

/// Splits the file into the lines of each template.
fn drafts<'a>(text: &'a str, faults: &mut Vec<TemplateError>) -> Vec<Draft<'a>> {
    let (mut drafts, mut known, mut before) = (Vec::<Draft>::new(), false, true);
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
        if let Some(word) = line.strip_prefix(MARK) {
            let kind = kind(number, word.trim_matches(['=', ' ', '\t']));
            (known, before) = (kind.is_ok(), false);
            match kind {
                Ok(kind) => drafts.push(Draft { kind, line: number, subject: None, body: Vec::new() }),
                Err(fault) => faults.push(fault),
            }
        } else if let Some(draft) = drafts.last_mut().filter(|_| known) {
            add(draft, number, line);
        } else if before && !line.trim().is_empty() {
            // Reported once. Text after a template of an unknown kind has its error there.
            before = false;
            faults.push(TemplateError::new(number, "stands before the first template: begin with a line `=== mail`"));
        }
    }
    drafts
}

fn add<'a>(draft: &mut Draft<'a>, number: u64, line: &'a str) {
    let first = draft.subject.is_none() && draft.body.iter().all(|(_, text)| text.trim().is_empty());
    match (first && is_subject(line), line.get(8..)) {
        (true, Some(subject)) => draft.subject = Some((number, subject)),
        _ => draft.body.push((number, line)),
    }
}

fn is_subject(line: &str) -> bool {
    line.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("subject:"))
}

fn kind(line: u64, word: &str) -> Result<Kind, TemplateError> {
    let word = word.to_lowercase();
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == word) {
        return Ok(kind);
    }
    let near = Kind::ALL.into_iter().find(|kind| strsim::damerau_levenshtein(kind.as_str(), &word) <= 2);
    Err(TemplateError::new(
        line,
        match near {
            Some(kind) => format!("`{word}` is no kind of template: did you mean `{MARK} {kind}`?"),
            None => format!("`{word}` is no kind of template: write `{MARK} mail` or `{MARK} reply`"),
        },
    ))
}

#[cfg(test)]
mod tests;
