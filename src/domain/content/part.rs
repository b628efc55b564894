//! This module writes the two forms of a text: plain text and HTML. The HTML has paragraphs only: no style,
//! no image, no external resource.

use super::line::{ends_line, is_direction};

/// Returns `text` with `\n` as its only control character: no NUL, no bare CR (RFC 5322 section 2.3), no
/// character that reverses a line.
pub fn plain(text: &str) -> String {
    if text.bytes().all(|byte| byte == b'\n' || matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let shown = |c: &char| !is_direction(*c) && (!ends_line(*c) || "\n\t".contains(*c));
    lines.chars().filter(shown).map(|c| if c == '\t' { ' ' } else { c }).collect()
}

/// Returns plain `text` as an HTML page: a paragraph for each of its paragraphs, `<br>` for a line break, all
/// else escaped.
pub fn html(text: &str) -> String {
    let mut page = String::with_capacity(2 * text.len() + 64);
    page.push_str("<!DOCTYPE html>\n<html>\n<body>\n");
    let mut is_open = false;
    for line in text.lines().map(str::trim_end) {
        match (is_open, line.is_empty()) {
            (true, true) => page.push_str("</p>\n"),
            (true, false) => page.push_str("<br>\n"),
            (false, true) => {}
            (false, false) => page.push_str("<p>"),
        }
        escape(line, &mut page);
        is_open = !line.is_empty();
    }
    page.push_str(if is_open { "</p>\n</body>\n</html>\n" } else { "</body>\n</html>\n" });
    page
}

fn escape(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        out.push_str(match special.as_bytes()[0] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &special[1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paragraphs_and_line_breaks_are_kept_and_the_rest_is_escaped() {
        assert_eq!(
            html("Hello <Ada> & \"Co\",\n\n\nit's done.\n\nRegards\nBen\n"),
            "<!DOCTYPE html>\n<html>\n<body>\n<p>Hello &lt;Ada&gt; &amp; &quot;Co&quot;,</p>\n<p>it&#39;s done.</p>\n\
             <p>Regards<br>\nBen</p>\n</body>\n</html>\n"
        );
    }

    proptest! {
        #[test]
        fn a_text_can_add_no_tag_and_no_control(text in any::<String>()) {
            let plain = plain(&text);
            prop_assert!(!plain.chars().any(|c| (c.is_control() && c != '\n') || is_direction(c)));
            let page = html(&plain);
            let body = page.split_once("<body>\n").unwrap().1.split_once("</body>").unwrap().0;
            let bare = body.replace("<p>", "").replace("</p>", "").replace("<br>", "");
            prop_assert!(!bare.contains(['<', '>', '"']), "{}", bare);
        }
    }
}
