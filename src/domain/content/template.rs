//! A `Template` holds a text in its written and in its parsed form.

use std::fmt;

use serde::Serialize;

use super::{
    dice::Stream,
    fault::TemplateError,
    line::{ends_line, is_direction},
    names::Names,
    phrase::Phrase,
    spintax,
};

/// The longest subject that any choice of its alternatives may give, in characters.
pub const LONGEST_SUBJECT: usize = 200;

/// The longest body that any choice of its alternatives may give, in characters.
const LONGEST_BODY: usize = 10_000;

/// The initial capacity of a text in bytes: most texts need less.
const USUAL_BODY: usize = 1_024;

/// The kind of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The first mail of a thread.
    Mail,
    /// The reply to a mail; its subject is "Re: " and the subject of that mail.
    Reply,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Mail, Kind::Reply];

    /// Returns the word for the kind in files and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Mail => "mail",
            Kind::Reply => "reply",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A template as written, without the notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub kind: Kind,
    /// The subject; `None` for a reply.
    pub subject: Option<String>,
    pub body: String,
}

/// A parsed template, ready for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub source: Source,
    /// The line of its file on which the template begins.
    pub line: u64,
    /// The subject; empty for a reply.
    pub(super) subject: Phrase,
    /// The paragraphs.
    pub(super) body: Vec<Phrase>,
}

impl Template {
    pub(super) fn subject(&self, dice: u64) -> String {
        self.subject.expand(&Names::default(), &mut Stream::of(dice, "subject"))
    }

    /// Returns the text: paragraphs separated by an empty line.
    pub(super) fn text(&self, names: &Names, dice: u64) -> String {
        let mut stream = Stream::of(dice, "body");
        let mut text = String::with_capacity(USUAL_BODY);
        for paragraph in &self.body {
            let end = text.len();
            text.push_str(if end == 0 { "" } else { "\n\n" });
            let begin = text.len();
            paragraph.write(names, &mut stream, &mut text);
            if text.len() == begin {
                text.truncate(end);
            }
        }
        text + "\n"
    }
}

/// The lines of one template, each with its number.
pub(super) struct Draft<'a> {
    pub(super) kind: Kind,
    pub(super) line: u64,
    pub(super) subject: Option<(u64, &'a str)>,
    pub(super) body: Vec<(u64, &'a str)>,
}

impl Draft<'_> {
    /// Parses the template, and warns of likely mistakes.
    ///
    /// Returns every error in it if there is any.
    pub(super) fn finish(self, warnings: &mut Vec<TemplateError>) -> Result<Template, Vec<TemplateError>> {
        let mut faults = Vec::new();
        for (line, text) in self.subject.iter().chain(&self.body) {
            faults.extend(invisible(*line, text));
            warnings.extend(link(*line, text));
        }
        let subject = self.read_subject().unwrap_or_else(|more| {
            faults.extend(more);
            Phrase::default()
        });
        let body = self.read_body(&mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let lines: Vec<&str> = self.body.iter().map(|(_, text)| text.trim()).collect();
        let source = Source {
            kind: self.kind,
            subject: self.subject.map(|(_, text)| text.trim().to_owned()),
            body: lines.join("\n").trim_matches('\n').to_owned(),
        };
        Ok(Template { source, line: self.line, subject, body })
    }

    fn read_subject(&self) -> Result<Phrase, Vec<TemplateError>> {
        let fault = |line, message: String| Err(vec![TemplateError::new(line, message)]);
        match (self.kind, self.subject) {
            (Kind::Reply, None) => Ok(Phrase::default()),
            (Kind::Reply, Some((line, _))) => {
                fault(line, "a reply takes the subject of the mail that it answers: remove this line".into())
            }
            (Kind::Mail, None) => fault(self.line, "has no subject: its first line must be Subject: and a text".into()),
            (Kind::Mail, Some((line, text))) => {
                let phrase = spintax::parse(&[(line, text)])?;
                let longest = phrase.longest();
                if phrase.names_somebody() {
                    return fault(line, "a subject is chosen before the partner is: it can't name anybody".into());
                }
                if phrase.shortest() == 0 {
                    return fault(line, "the subject is empty, or can come out empty: write one".into());
                }
                if longest > LONGEST_SUBJECT {
                    let most = format!("{LONGEST_SUBJECT} are the most");
                    return fault(line, format!("the subject can have {longest} characters: {most}"));
                }
                Ok(phrase)
            }
        }
    }

    fn read_body(&self, faults: &mut Vec<TemplateError>) -> Vec<Phrase> {
        let before = faults.len();
        let mut body = Vec::new();
        for paragraph in self.body.split(|(_, text)| text.trim().is_empty()).filter(|lines| !lines.is_empty()) {
            match spintax::parse(paragraph) {
                Ok(phrase) => body.push(phrase),
                Err(more) => faults.extend(more),
            }
        }
        let (shortest, longest) = body
            .iter()
            .fold((0, 0), |(shortest, longest), phrase| (shortest + phrase.shortest(), longest + phrase.longest()));
        if faults.len() == before && shortest == 0 {
            faults.push(TemplateError::new(self.line, "its text is empty, or can come out empty: write one"));
        }
        if longest > LONGEST_BODY {
            let message = format!("its text can have {longest} characters: {LONGEST_BODY} are the most");
            faults.push(TemplateError::new(self.line, message));
        }
        body
    }
}

fn invisible(line: u64, text: &str) -> Option<TemplateError> {
    let found = text.chars().find(|c| (ends_line(*c) && *c != '\t') || is_direction(*c))?;
    Some(TemplateError::new(line, format!("holds a control character (U+{:04X}): remove it", u32::from(found))))
}

/// The prefixes and suffixes of words that mail programs turn into links.
const LINKS: [&str; 4] = ["://", "www.", "mailto:", "href="];
const DOMAINS: [&str; 12] = [".com", ".org", ".net", ".io", ".co", ".info", ".biz", ".eu", ".de", ".uk", ".fr", ".dev"];

fn link(line: u64, text: &str) -> Option<TemplateError> {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| c.is_whitespace() || "{}|,;()<>\"".contains(c));
    let is_link = |word: &str| {
        let end = word.trim_end_matches(['.', '!', '?', ':', '/']);
        LINKS.iter().any(|link| word.contains(link))
            || word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
            || DOMAINS.iter().any(|domain| end.len() > domain.len() && end.ends_with(domain))
    };
    let word = words.find(|word| is_link(word))?;
    Some(TemplateError::new(
        line,
        format!("{word} looks like a link or an address: mails without any are trusted more"),
    ))
}
