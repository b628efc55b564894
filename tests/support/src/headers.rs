//! This module reads the few header fields that tests check in mails stored by real servers.

/// Returns the value of a single-line header field; empty if the mail has none.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let mut lines = mail.lines().take_while(|line| !line.is_empty());
    let value = lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    });
    value.unwrap_or_default().trim()
}

/// Returns the text in the first angle brackets: a bare address or id.
pub fn bare(value: &str) -> String {
    let inner = value.split_once('<').map_or(value, |(_, rest)| rest);
    inner.split_once('>').map_or(inner, |(inner, _)| inner).to_owned()
}
