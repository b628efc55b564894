//! A text with alternatives, and what it can become.
//!
//! An alternative with a name in it is taken only where that name is known. So a text that can also be said without any
//! name, which the parser makes sure of, always has something to say.

use super::{
    dice::Stream,
    names::{self, Names, Whom},
};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Name(Whom),
    /// One of these.
    Choice(Vec<Phrase>),
}

/// Parts one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Phrase(pub(super) Vec<Node>);

impl Phrase {
    /// Returns one of the texts that this can become.
    pub(super) fn expand(&self, names: &Names, dice: &mut Stream) -> String {
        let mut out = String::new();
        self.write(names, dice, &mut out);
        out
    }

    /// Writes one of the texts that this can become behind what `out` holds.
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

    /// Says whether this can be said with these names.
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

    /// The fewest letters that it can become; 0 means that it can be empty.
    pub(super) fn shortest(&self) -> usize {
        let least = |node: &Node| match node {
            Node::Text(text) => text.chars().filter(|c| !c.is_whitespace()).count(),
            Node::Name(_) => 1,
            Node::Choice(alternatives) => alternatives.iter().map(Phrase::shortest).min().unwrap_or(0),
        };
        self.0.iter().map(least).sum()
    }

    /// The most characters that it can become.
    pub(super) fn longest(&self) -> usize {
        let most = |node: &Node| match node {
            Node::Text(text) => text.chars().count(),
            Node::Name(_) => names::LONGEST,
            Node::Choice(alternatives) => alternatives.iter().map(Phrase::longest).max().unwrap_or(0),
        };
        self.0.iter().map(most).fold(0, usize::saturating_add)
    }

    /// What is the same in everything that it can become.
    #[cfg(test)]
    pub(super) fn skeleton(&self) -> String {
        let fixed = self.0.iter().map(|node| if let Node::Text(text) = node { text } else { " " });
        tidy(&fixed.collect::<String>())
    }

    /// Everything that it can become without names.
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

/// Says whether `tidy` would change nothing, as mostly.
fn is_tidy(text: &str) -> bool {
    let untidy = |pair: &[u8]| pair.iter().all(|byte| b" \r\n".contains(byte));
    let at_an_end = |byte: Option<&u8>| byte.is_none_or(|byte| untidy(&[*byte]));
    let bytes = text.as_bytes();
    !at_an_end(bytes.first()) && !at_an_end(bytes.last()) && !bytes.windows(2).any(untidy)
}

/// Runs of spaces become one, and none stand at the ends of lines, and no line is empty: an
/// alternative may be.
fn tidy(text: &str) -> String {
    let line = |line: &str| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
