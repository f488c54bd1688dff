//! Texts of strangers, made harmless.

use jiff::civil::Date;
use version::Version;

/// The most characters that are kept of a text.
pub(crate) const LONGEST: usize = 200;

/// One line of at most so many characters, without control characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    // What changes the direction of text makes it look like another one.
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text.split(|c: char| c.is_whitespace() || is_hidden(c)).filter(|word| !word.is_empty());
    let mut line = String::new();
    let mut count = 0;
    for word in words {
        let length = word.chars().count() + usize::from(count > 0);
        if count + length > most {
            line.extend(word.chars().take(most.saturating_sub(count + 2)));
            line.push('…');
            break;
        }
        if count > 0 {
            line.push(' ');
        }
        line.push_str(word);
        count += length;
    }
    line
}

/// Every version in a text, such as those of `v11.3.1, 11.2.3 and 10.11.10`.
pub(crate) fn versions(text: &str) -> Vec<Version> {
    let pieces = text.split(|c: char| !(c.is_ascii_digit() || c == '.'));
    pieces.filter_map(|piece| piece.trim_matches('.').parse().ok()).take(100).collect()
}

/// The day in a text: `2026-11-05`, the same with a time behind it, or `November 5, 2026`.
pub(crate) fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Some(day) = text.get(..10).and_then(|day| day.parse().ok()) {
        let rest = &text[10..];
        return (rest.is_empty() || rest.starts_with(['T', ' '])).then_some(day);
    }
    let mut words = text.split([' ', ',', '.']).filter(|word| !word.is_empty());
    let (first, second, year) = (words.next()?, words.next()?, words.next()?);
    // Both orders are in use: `November 5, 2026` and `5 November 2026`.
    let (month, day) = month(first).map(|month| (month, second)).or_else(|| Some((month(second)?, first)))?;
    Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()
}

fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| word.len() >= 3 && month.starts_with(&word))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_hostile_text_is_one_short_line() {
        assert_eq!(one_line("a\x1b[2Jb\r\n\u{202e}c", 50), "a [2Jb c");
        assert_eq!(one_line(&"x".repeat(500), 10), "xxxxxxxx…");
        assert_eq!(one_line("one two three", 9), "one two…");
        assert_eq!(one_line("", 9), "");
    }

    #[test]
    fn versions_and_days_are_found_in_texts() {
        let found: Vec<String> =
            versions("v11.3.1, 11.2.3 and 10.11.10. 1.2, x9.9.9y").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["11.3.1", "11.2.3", "10.11.10", "9.9.9"]);
        for text in ["2026-11-05", "2026-11-05T09:00:00Z", "November 5, 2026", "Nov 5 2026", "5 nov. 2026"] {
            assert_eq!(day(text), Some(date(2026, 11, 5)), "{text}");
        }
        for text in
            ["", "2026-11-055", "2026-13-05", "soon", "Month 5, 2026", "November 35, 2026", "ä2026-11-0"]
        {
            assert_eq!(day(text), None, "{text}");
        }
    }
}
