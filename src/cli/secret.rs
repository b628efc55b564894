//! This module reads secrets from a prompt without echo, from a file, or from standard input.
//!
//! It never takes them from argv, which every process of the machine can read.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::PathBuf,
};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{SecretString, zeroize::Zeroizing};

/// More than any password or key has.
const LONGEST: u64 = 64 * 1024;

/// Where a secret comes from.
#[derive(Debug)]
pub(super) enum SecretSource<'a> {
    Prompt,
    File(&'a PathBuf),
    Stdin,
}

/// Reads the secret called `name`. A line end behind it does not belong to it.
pub(super) fn read(name: &str, from: SecretSource<'_>) -> anyhow::Result<SecretString> {
    let text = match from {
        SecretSource::Prompt => prompted(name)?,
        SecretSource::File(path) => {
            let file = fs::File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
            whole(file).with_context(|| format!("{} cannot be read", path.display()))?
        }
        SecretSource::Stdin => whole(io::stdin()).context("standard input cannot be read")?,
    };
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() {
        bail!("the {name} is empty");
    }
    Ok(secret.into())
}

fn whole(source: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn prompted(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("the {name} can't be asked for without a terminal: give it by a file or by standard input (see --help)");
    }
    // The echo ends before the prompt appears, so that an early keystroke is not shown either.
    let silence = EchoOff::over(&stdin)?;
    eprint!("{name}: ");
    io::stderr().flush()?;
    let mut text = Zeroizing::new(String::new());
    stdin.lock().read_line(&mut text)?;
    drop(silence);
    eprintln!();
    Ok(text)
}

/// A terminal that does not show what is typed, until this is dropped.
struct EchoOff<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl EchoOff<'_> {
    fn over(terminal: &io::Stdin) -> io::Result<EchoOff<'_>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        // The caller prints the line end after the prompt, so the terminal must not echo it.
        silent.local_modes -= LocalModes::ECHONL;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(EchoOff { terminal, before })
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
