//! This module requests confirmation from a person. Without a terminal the command refuses and names the option to
//! write instead.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;

/// Examples that a question names.
const EXAMPLES: usize = 3;

/// Asks `question` on the terminal and returns whether the answer is yes.
///
/// Returns an error without a terminal: an answer that happens to be in a pipe was not meant for this.
pub(super) fn confirm(question: &str) -> anyhow::Result<bool> {
    if !is_possible() {
        bail!("{question} Nobody can be asked without a terminal: repeat it with --yes. Nothing was done");
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Says whether a person can be asked: the question and the answer both have a terminal.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks `question` as `confirm` does, where `is_possible`. The answer is read on a thread of its own, which ends with the
/// process: a stop does not wait for an answer.
pub(super) async fn on_terminal(question: String) -> bool {
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || answer.send(confirm(&question).unwrap_or(false)));
    answered.await.unwrap_or(false)
}

/// A few of `names`, and how many more there are.
pub(super) fn examples(names: &[&str]) -> String {
    let shown = names.iter().take(EXAMPLES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(EXAMPLES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_examples_are_named_and_the_rest_is_counted() {
        assert_eq!(examples(&["a", "b"]), "a, b");
        assert_eq!(examples(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }
}
