//! Text from elsewhere, made safe to show.

/// The text on one line, without control characters, cut after `limit` characters.
pub fn one_line(text: &str, limit: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text with everything escaped that Markdown would take for a table's column, a link or HTML; on one line.
pub fn in_markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '<' | '[' | ']' => {
                safe.push('\\');
                safe.push(character);
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_stays_one_short_line() {
        assert_eq!(one_line(" a\r\n\tb\u{1b}[2J c ", 100), "a b [2J c");
        assert_eq!(one_line(&"é".repeat(500), 160).chars().count(), 161);
        assert_eq!(one_line("abc", 3), "abc");
    }

    #[test]
    fn text_from_elsewhere_is_no_markup() {
        assert_eq!(in_markdown("a | <b> ![x](y)\n# z"), r"a \| \<b> !\[x\](y) # z");
    }
}
