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

/// A moment to the second, in this machine's time zone and with its distance from UTC: `2026-11-27T15:04:05+01:00`.
pub fn moment(at: jiff::Timestamp) -> String {
    let offset = jiff::tz::TimeZone::system().to_offset(at);
    format!("{:.0}", at.display_with_offset(offset))
}

/// A number and what it counts: `1 restart`, `2 restarts`.
pub fn counted(count: impl TryInto<u64>, one: &str, several: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        count => format!("{count} {several}"),
    }
}

/// The text on one line, with what cannot be seen escaped, as in `\u{1b}`: a reader sees why a value was refused, and a terminal obeys
/// nothing that somebody wrote into it.
pub fn visible(text: &str) -> String {
    escaped(text, "")
}

/// The same for a text of several lines.
pub fn visible_lines(text: &str) -> String {
    escaped(text, "\n\t")
}

fn escaped(text: &str, kept: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            c if is_unseen(c) && !kept.contains(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Control characters, and marks of no width, those that turn the direction of writing among them. Emoji have joiners.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
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
    fn what_cannot_be_seen_is_shown_by_its_number() {
        assert_eq!(visible("a\u{1b}[31m\r\n\u{feff}b\u{202e}"), "a\\u{1b}[31m\\r\\n\\u{feff}b\\u{202e}");
        assert_eq!(visible_lines("a\n\tb\u{1b}c"), "a\n\tb\\u{1b}c");
        assert_eq!(visible("é 👩\u{200d}🚀 `x`"), "é 👩\u{200d}🚀 `x`");
    }

    #[test]
    fn text_from_elsewhere_is_no_markup() {
        assert_eq!(in_markdown("a | <b> ![x](y)\n# z"), r"a \| \<b> !\[x\](y) # z");
    }
}
