//! This module generates the texts of mails: short, ordinary business English between colleagues, without
//! links and without tracking.
//!
//! ```text
//!   mails.txt, replies.txt ─┐
//!   the operator's file ────┴▶ file ─▶ template (spintax ─▶ phrase) ─▶ Texts ─▶ Draft ─▶ text ─▶ html
//! ```
//!
//! A draft is chosen before the reservation, because the ledger stores the subject. Its text is generated
//! after the reservation, when the partner is known. Both come from the one random number that chose the
//! draft.

mod dice;
mod fault;
mod file;
mod line;
mod marker;
mod names;
mod part;
mod phrase;
mod spintax;
mod template;

use std::sync::{Arc, LazyLock};

use self::dice::Stream;
pub use self::{
    fault::TemplateError,
    file::{Templates, read, write},
    line::one_line,
    marker::{MARK, judge as judge_marker},
    names::{Names, first_name},
    part::{html, plain},
    template::{Kind, LONGEST_SUBJECT, Source, Template},
};

/// All templates that a fleet uses.
#[derive(Debug)]
pub struct Texts {
    mails: Vec<Arc<Template>>,
    replies: Vec<Arc<Template>>,
}

/// A mail whose partner is not known yet.
#[derive(Clone, Debug)]
pub struct Draft {
    pub subject: String,
    template: Arc<Template>,
    dice: u64,
}

/// The built-in texts, parsed once per process.
static BUILT_IN: LazyLock<Arc<Texts>> = LazyLock::new(|| {
    let templates = read(&Texts::built_in_file()).expect("the built-in templates are tested");
    Arc::new(Texts::sorted(templates))
});

impl Texts {
    /// Returns the texts that the program contains.
    pub fn built_in() -> Arc<Texts> {
        Arc::clone(&BUILT_IN)
    }

    /// Returns the file of the built-in texts, as a start for an operator's own file.
    pub fn built_in_file() -> String {
        [include_str!("content/mails.txt"), include_str!("content/replies.txt")].join("\n")
    }

    /// Returns the operator's texts. An own text of a kind replaces all built-in ones of that kind.
    pub fn own(templates: Templates) -> Texts {
        let Texts { mut mails, mut replies } = Texts::sorted(templates);
        let built_in = Texts::built_in();
        if mails.is_empty() {
            mails.clone_from(&built_in.mails);
        }
        if replies.is_empty() {
            replies.clone_from(&built_in.replies);
        }
        Texts { mails, replies }
    }

    fn sorted(templates: Templates) -> Texts {
        let templates = templates.templates.into_iter().map(Arc::new);
        let (mails, replies) = templates.partition(|template| template.source.kind == Kind::Mail);
        Texts { mails, replies }
    }

    /// Returns the number of templates of `kind`.
    pub fn count(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    /// Returns the mail that `dice` (64 random bits) chooses.
    pub fn mail(&self, dice: u64) -> Draft {
        let template = self.choose(Kind::Mail, dice);
        Draft { subject: template.subject(dice), template, dice }
    }

    /// Returns the reply that `dice` chooses, to a mail with the subject `original`.
    pub fn reply(&self, dice: u64, original: &str) -> Draft {
        Draft { subject: reply_subject(original), template: self.choose(Kind::Reply, dice), dice }
    }

    fn choose(&self, kind: Kind, dice: u64) -> Arc<Template> {
        let templates = self.of(kind);
        Arc::clone(&templates[Stream::of(dice, kind.as_str()).below(templates.len())])
    }

    fn of(&self, kind: Kind) -> &[Arc<Template>] {
        match kind {
            Kind::Mail => &self.mails,
            Kind::Reply => &self.replies,
        }
    }
}

impl Draft {
    /// Returns the text: paragraphs separated by an empty line, with a line break where the template has one.
    pub fn text(&self, names: &Names) -> String {
        self.template.text(names, self.dice)
    }
}

/// Returns the subject of a reply (RFC 5322 section 3.6.5) with a single "Re: ", however often and in
/// whatever case the original has it.
pub fn reply_subject(original: &str) -> String {
    let mut rest = original.trim();
    while let Some(without) = without_re(rest) {
        rest = without;
    }
    format!("Re: {rest}").trim_end().to_owned()
}

/// Removes one "Re:", also as "RE :" and "Re[2]:".
fn without_re(subject: &str) -> Option<&str> {
    let (word, rest) = subject.split_once(':')?;
    let word = word.trim_end();
    let bare = word.split_once('[').filter(|(_, count)| count.ends_with(']')).map_or(word, |(bare, _)| bare);
    bare.trim_end().eq_ignore_ascii_case("re").then(|| rest.trim_start())
}

#[cfg(test)]
mod tests;
