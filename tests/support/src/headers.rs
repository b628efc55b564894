//! The few headers that tests read in what real servers kept.

/// Returns the value of a header on one line; empty where the mail has none.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let mut lines = mail.lines().take_while(|line| !line.is_empty());
    let value = lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    });
    value.unwrap_or_default().trim()
}

/// Returns what stands in the first angle brackets: the address or id without what surrounds it.
pub fn bare(value: &str) -> String {
    let inner = value.split_once('<').map_or(value, |(_, rest)| rest);
    inner.split_once('>').map_or(inner, |(inner, _)| inner).to_owned()
}
