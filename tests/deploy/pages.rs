//! What stands between fences on a page, by the word that the first fence says.

/// The blocks of a page whose first line says `info`.
pub fn blocks(page: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(said) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if said == info {
                found.push(block.join("\n") + "\n");
            }
        }
    }
    found
}

#[test]
fn blocks_are_told_apart_by_what_they_say_first() {
    let page = "a\n```sh\none\ntwo\n```\nb\n```sh cluster\nthree\n```\n```yaml\nfour\n```\n";
    assert_eq!(blocks(page, "sh"), ["one\ntwo\n"]);
    assert_eq!(blocks(page, "sh cluster"), ["three\n"]);
}
