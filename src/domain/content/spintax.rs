//! `parse` reads spintax: `{one|another|{a third|a fourth}}` becomes one of its alternatives. Braces without
//! a bar name a placeholder:
//!
//! | written | becomes |
//! |---|---|
//! | `{to}`, `{from}` | the first name of the recipient, of the sender |
//! | `{greeting}`, `{signoff}` | a greeting, a closing with the sender's name, varied |
//! | `\{` `\|` `\}` `\\` `\#` | that character |
//! | `\` at the end of a line | a line break; other line ends are spaces |
//!
//! It reports every error of a text with its line.

use super::{
    fault::TemplateError,
    names::{Names, Whom},
    phrase::{Node, Phrase},
};

/// The deepest nesting of braces: deeper text is unreadable, and the recursion must end.
const DEEPEST: usize = 10;

/// The valid contents of braces without a bar.
const PLACEHOLDERS: [&str; 4] = ["to", "from", "greeting", "signoff"];

/// No greeting names the time of day, because the recipient's may differ. A repeated alternative is chosen
/// twice as often.
const GREETING: &str = "{{Hello|Hi|Dear} {to},|{Hello|Hi|Good day} {to},|{to},|Hello,|Hi,|{Hi there|Good day},}";
const SIGNOFF: &str = "{{Best|Kind|Warm|Many} regards|All the best|Best wishes|Many thanks|Thanks|Cheers|Until soon}{,\\
{from}|,\\
{from}|,\\
{from}|}";

/// Parses the numbered `lines` of one paragraph.
///
/// Returns every error in it: unmatched braces, a bar outside of braces, an unknown placeholder, or a text
/// without a variant that needs no name.
pub(super) fn parse(lines: &[(u64, &str)]) -> Result<Phrase, Vec<TemplateError>> {
    let mut parser = Parser::default();
    for (line, text) in lines {
        parser.begin(*line);
        let mut letters = text.trim().chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => parser.escaped(letters.next()),
                '{' => parser.open(),
                '|' => parser.bar(),
                '}' => parser.close(),
                plain => parser.letter(plain),
            }
            if parser.stack.len() > DEEPEST {
                parser.fault(format!("braces in braces in braces: {DEEPEST} deep is the most"));
                return Err(parser.faults);
            }
        }
    }
    parser.finish()
}

/// The text between an opening brace and the current position.
#[derive(Default)]
struct Open {
    line: u64,
    alternatives: Vec<Phrase>,
    current: Vec<Node>,
}

#[derive(Default)]
struct Parser {
    line: u64,
    /// The open braces, innermost last.
    stack: Vec<Open>,
    outside: Vec<Node>,
    faults: Vec<TemplateError>,
    /// True if a backslash ended the previous line.
    breaks: bool,
    /// The line of the first name placeholder.
    named: Option<u64>,
}

impl Parser {
    fn begin(&mut self, line: u64) {
        let first = self.line == 0;
        self.line = line;
        if std::mem::take(&mut self.breaks) {
            self.letter('\n');
        } else if !first {
            self.letter(' ');
        }
    }

    fn fault(&mut self, message: impl Into<String>) {
        self.faults.push(TemplateError::new(self.line, message));
    }

    fn current(&mut self) -> &mut Vec<Node> {
        self.stack.last_mut().map_or(&mut self.outside, |open| &mut open.current)
    }

    fn letter(&mut self, letter: char) {
        match self.current().last_mut() {
            Some(Node::Text(text)) => text.push(letter),
            _ => self.current().push(Node::Text(letter.to_string())),
        }
    }

    fn escaped(&mut self, letter: Option<char>) {
        match letter {
            None => self.breaks = true,
            Some(special) if "{|}\\#".contains(special) => self.letter(special),
            Some(plain) => {
                self.letter('\\');
                self.letter(plain);
            }
        }
    }

    fn open(&mut self) {
        self.stack.push(Open { line: self.line, ..Open::default() });
    }

    fn bar(&mut self) {
        match self.stack.last_mut() {
            Some(open) => open.alternatives.push(Phrase(std::mem::take(&mut open.current))),
            None => self.fault("a | outside of braces: write {one|another}, or \\| for the bar itself"),
        }
    }

    fn close(&mut self) {
        let Some(mut open) = self.stack.pop() else {
            return self.fault("a } without its {: remove it, or write \\} for the brace itself");
        };
        if open.alternatives.is_empty() {
            return self.named(&open.current);
        }
        open.alternatives.push(Phrase(open.current));
        self.current().push(Node::Choice(open.alternatives));
    }

    /// Reads braces without a bar as a placeholder.
    fn named(&mut self, inside: &[Node]) {
        let word = match inside {
            [Node::Text(word)] => word.trim().to_lowercase(),
            [] => return self.fault("empty braces: write {one|another}, or remove them"),
            _ => return self.fault("braces around braces without a |: write {one|another}, and names as {to}"),
        };
        match word.as_str() {
            "to" => self.name(Whom::Recipient),
            "from" => self.name(Whom::Sender),
            "greeting" => self.built_in(GREETING),
            "signoff" => self.built_in(SIGNOFF),
            unknown => self.fault(suggestion(unknown)),
        }
    }

    fn name(&mut self, whom: Whom) {
        self.named = self.named.or(Some(self.line));
        self.current().push(Node::Name(whom));
    }

    fn built_in(&mut self, text: &str) {
        let lines: Vec<(u64, &str)> = text.lines().map(|line| (1, line)).collect();
        let phrase = parse(&lines).expect("the built-in phrases are tested");
        self.current().extend(phrase.0);
    }

    fn finish(mut self) -> Result<Phrase, Vec<TemplateError>> {
        for open in std::mem::take(&mut self.stack) {
            self.faults.push(TemplateError::new(
                open.line,
                "a { that is not closed in its paragraph: add the }, or write \\{",
            ));
        }
        let phrase = Phrase(self.outside);
        if self.faults.is_empty() && !phrase.sayable(&Names::default()) {
            let line = self.named.unwrap_or(self.line);
            let message = "a name may be unknown: say also what stands there without it, as in {Hello {to}|Hello},";
            self.faults.push(TemplateError::new(line, message));
        }
        if self.faults.is_empty() { Ok(phrase) } else { Err(self.faults) }
    }
}

fn suggestion(word: &str) -> String {
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, word);
    let nearest = PLACEHOLDERS.iter().min_by_key(distance).filter(|known| distance(known) <= 2);
    let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
    match nearest {
        Some(near) => format!("{{{word}}} is unknown: did you mean {{{near}}}?"),
        None => format!("{{{word}}} is unknown: there are {known}, and alternatives have a |, as in {{one|another}}"),
    }
}

#[cfg(test)]
mod tests;
