//! A `Phrase` is a text with alternatives, which expands to one of its variants.
//!
//! An alternative that contains a name is chosen only if that name is known. The parser ensures that each
//! text has a variant without any name, so an expansion always exists.

use super::{
    dice::Stream,
    names::{self, Names, Whom},
};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Name(Whom),
    /// One of these alternatives.
    Choice(Vec<Phrase>),
}

/// A sequence of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Phrase(pub(super) Vec<Node>);

impl Phrase {
    /// Returns one variant of the text.
    pub(super) fn expand(&self, names: &Names, dice: &mut Stream) -> String {
        let mut out = String::new();
        self.write(names, dice, &mut out);
        out
    }

    /// Appends one variant of the text to `out`.
    pub(super) fn write(&self, names: &Names, dice: &mut Stream, out: &mut String) {
        let begin = out.len();
        self.choose(names, dice, out);
        if !is_tidy(&out[begin..]) {
            let tidied = tidy(&out[begin..]);
            out.truncate(begin);
            out.push_str(&tidied);
        }
    }

    fn choose(&self, names: &Names, dice: &mut Stream, out: &mut String) {
        for node in &self.0 {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Name(whom) => out.push_str(names.get(*whom).unwrap_or_default()),
                Node::Choice(alternatives) => {
                    let sayable = || alternatives.iter().filter(|one| one.sayable(names));
                    if let Some(one) = sayable().nth(dice.below(sayable().count())) {
                        one.choose(names, dice, out);
                    }
                }
            }
        }
    }

    /// Returns true if a variant exists with these names.
    pub(super) fn sayable(&self, names: &Names) -> bool {
        self.0.iter().all(|node| match node {
            Node::Text(_) => true,
            Node::Name(whom) => names.get(*whom).is_some(),
            Node::Choice(alternatives) => alternatives.iter().any(|one| one.sayable(names)),
        })
    }

    pub(super) fn names_somebody(&self) -> bool {
        self.0.iter().any(|node| match node {
            Node::Text(_) => false,
            Node::Name(_) => true,
            Node::Choice(alternatives) => alternatives.iter().any(Phrase::names_somebody),
        })
    }

    /// Returns the length of the shortest variant in letters; 0 means that it can be empty.
    pub(super) fn shortest(&self) -> usize {
        let least = |node: &Node| match node {
            Node::Text(text) => text.chars().filter(|c| !c.is_whitespace()).count(),
            Node::Name(_) => 1,
            Node::Choice(alternatives) => alternatives.iter().map(Phrase::shortest).min().unwrap_or(0),
        };
        self.0.iter().map(least).sum()
    }

    /// Returns the length of the longest variant in characters.
    pub(super) fn longest(&self) -> usize {
        let most = |node: &Node| match node {
            Node::Text(text) => text.chars().count(),
            Node::Name(_) => names::LONGEST,
            Node::Choice(alternatives) => alternatives.iter().map(Phrase::longest).max().unwrap_or(0),
        };
        self.0.iter().map(most).fold(0, usize::saturating_add)
    }

    /// Returns the text that all variants share.
    #[cfg(test)]
    pub(super) fn skeleton(&self) -> String {
        let fixed = self.0.iter().map(|node| if let Node::Text(text) = node { text } else { " " });
        tidy(&fixed.collect::<String>())
    }

    /// Returns all variants without names.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<String> {
        let mut texts = vec![String::new()];
        for node in &self.0 {
            let ends = match node {
                Node::Text(text) => vec![text.clone()],
                Node::Name(_) => Vec::new(),
                Node::Choice(alternatives) => alternatives.iter().flat_map(Phrase::all).collect(),
            };
            texts = texts.iter().flat_map(|text| ends.iter().map(move |end| format!("{text}{end}"))).collect();
        }
        texts.iter().map(|text| tidy(text)).collect()
    }
}

/// Returns true if `tidy` would change nothing, which is the usual case.
fn is_tidy(text: &str) -> bool {
    let untidy = |pair: &[u8]| pair.iter().all(|byte| b" \r\n".contains(byte));
    let at_an_end = |byte: Option<&u8>| byte.is_none_or(|byte| untidy(&[*byte]));
    let bytes = text.as_bytes();
    !at_an_end(bytes.first()) && !at_an_end(bytes.last()) && !bytes.windows(2).any(untidy)
}

/// Joins runs of spaces, and removes spaces at line ends and empty lines, which an empty alternative leaves.
fn tidy(text: &str) -> String {
    let line = |line: &str| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
