//! What somebody searches for: words, `"phrases"`, `prefixes*`, `#hashtags` and filters (`from:`, `in:`, `before:`,
//! `after:`, `on:`, `ext:`), each of which a `-` before it turns round.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use crate::mention;

/// The most words and filters of a search; further ones are ignored.
const MOST: usize = 40;

/// A word that a post must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// A word, or several in this order.
    Text(String),
    /// The beginning of a word.
    Prefix(String),
    /// A hashtag with its `#`, or the beginning of one.
    Hashtag { name: String, prefix: bool },
    /// Chinese, Japanese or Korean, which has no spaces between words: it may be anywhere.
    Piece(String),
}

/// What is searched for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) words: Vec<Word>,
    pub(crate) without: Vec<Word>,
    /// Names of channels, and `@names` of people for direct channels.
    pub(crate) channels: Choice,
    /// Names of authors.
    pub(crate) authors: Choice,
    /// Extensions of files.
    pub(crate) extensions: Choice,
    pub(crate) times: Times,
}

/// Names that are wanted, if there are any, and names that are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) wanted: Vec<String>,
    pub(crate) unwanted: Vec<String>,
}

/// Times in milliseconds since the epoch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) from: i64,
    /// Exclusive.
    pub(crate) until: i64,
    /// Parts that are left out, each with an exclusive end.
    pub(crate) without: Vec<(i64, i64)>,
}

impl Default for Times {
    fn default() -> Times {
        Times { from: 0, until: LATEST, without: Vec::new() }
    }
}

/// Later than any post.
const LATEST: i64 = 1 << 50;

impl Terms {
    /// Reads what was typed. `offset` is the time zone of the dates, in seconds east of Greenwich.
    pub(crate) fn parse(text: &str, offset: i64) -> Terms {
        let mut terms = Terms::default();
        let mut tokens = tokens(text).into_iter().take(MOST).peekable();
        while let Some(Token { text, quoted, negated }) = tokens.next() {
            let filter = if quoted { None } else { filter(&text) };
            let Some((name, value)) = filter else {
                let words = if negated { &mut terms.without } else { &mut terms.words };
                words.extend(word(&text, quoted));
                continue;
            };
            // `from: name` is the same as `from:name`.
            let value = match value {
                "" => tokens.next_if(|next| !next.negated).map(|next| next.text).unwrap_or_default(),
                value => value.to_owned(),
            };
            terms.filter(name, &value.to_lowercase(), negated, offset);
        }
        terms
    }

    /// Whether nothing is searched for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Terms::default()
    }

    fn filter(&mut self, name: Filter, value: &str, negated: bool, offset: i64) {
        let choice = match name {
            Filter::In => &mut self.channels,
            Filter::From => &mut self.authors,
            Filter::Extension => &mut self.extensions,
            Filter::Before | Filter::After | Filter::On => {
                return self.times.limit(name, day(value, offset), negated);
            }
        };
        let value = match name {
            Filter::In => value.trim_start_matches('~'),
            Filter::From => value.trim_start_matches('@'),
            _ => value.trim_start_matches('.'),
        };
        let names = if negated { &mut choice.unwanted } else { &mut choice.wanted };
        names.push(value.to_owned());
    }
}

impl Times {
    /// A date that is none matches nothing; excluding it changes nothing.
    fn limit(&mut self, filter: Filter, day: Option<(i64, i64)>, negated: bool) {
        let Some((start, end)) = day else {
            if !negated {
                self.until = 0;
            }
            return;
        };
        match (filter, negated) {
            (Filter::Before, false) | (Filter::After, true) => {
                self.until = self.until.min(if negated { end } else { start });
            }
            (Filter::After, false) | (Filter::Before, true) => {
                self.from = self.from.max(if negated { start } else { end });
            }
            (_, true) => self.without.push((start, end)),
            (_, false) => {
                self.from = self.from.max(start);
                self.until = self.until.min(end);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    From,
    In,
    Before,
    After,
    On,
    Extension,
}

const FILTERS: [(&str, Filter); 7] = [
    ("from:", Filter::From),
    ("in:", Filter::In),
    ("channel:", Filter::In),
    ("before:", Filter::Before),
    ("after:", Filter::After),
    ("on:", Filter::On),
    ("ext:", Filter::Extension),
];

/// The filter at the beginning of `text`, and its value.
fn filter(text: &str) -> Option<(Filter, &str)> {
    FILTERS.into_iter().find_map(|(name, filter)| {
        let (head, value) = text.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some((filter, value))
    })
}

struct Token {
    text: String,
    quoted: bool,
    negated: bool,
}

/// The parts of `text` between spaces. A part in quotes may have spaces; without a closing quote it ends with the text.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let bare = rest.strip_prefix('-').filter(|bare| !bare.starts_with([' ', '-']));
        let negated = bare.is_some_and(|bare| !bare.is_empty());
        let body = if negated { bare.unwrap_or(rest) } else { rest };
        let (token, quoted, after) = match body.strip_prefix('"') {
            Some(quote) => {
                let (inside, after) = quote.split_once('"').unwrap_or((quote, ""));
                (inside, true, after)
            }
            None => {
                let end = body.find(char::is_whitespace).unwrap_or(body.len());
                (&body[..end], false, &body[end..])
            }
        };
        found.push(Token { text: token.to_owned(), quoted, negated });
        rest = after.trim_start();
    }
    found
}

/// The word in `text`; none if it has neither letters nor digits.
fn word(text: &str, quoted: bool) -> Option<Word> {
    if !text.chars().any(char::is_alphanumeric) {
        return None;
    }
    if text.chars().any(is_cjk) {
        let piece = if quoted { text } else { text.trim_matches(['*', '#', '"']) };
        return Some(Word::Piece(piece.to_owned()));
    }
    if quoted {
        return Some(Word::Text(text.to_owned()));
    }
    let is_punctuation = |c: char| !c.is_alphanumeric() && c != '_';
    let prefix = text.trim_end_matches('*').len() < text.len();
    let bare = text.trim_end_matches(is_punctuation);
    let name = bare.trim_start_matches(|c| is_punctuation(c) && c != '#');
    if name.starts_with('#') && (prefix || mention::hashtags(name) == name) {
        return Some(Word::Hashtag { name: name.to_lowercase(), prefix });
    }
    let bare = bare.trim_start_matches(is_punctuation).to_owned();
    Some(if prefix { Word::Prefix(bare) } else { Word::Text(bare) })
}

/// Kana, Han and Hangul, as in the index of `store/migration/search.sqlite.sql`.
fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// The beginning and the end of the day `text` (`2026-3-1`), in a time zone that many seconds east of Greenwich.
fn day(text: &str, offset: i64) -> Option<(i64, i64)> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<i16>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let zone = TimeZone::fixed(Offset::from_seconds(i32::try_from(offset).ok()?).ok()?);
    let start = |date: Date| date.to_zoned(zone.clone()).ok().map(|at| at.timestamp().as_millisecond());
    Some((start(date)?, start(date.tomorrow().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(word: &str) -> Word {
        Word::Text(word.to_owned())
    }

    fn tag(name: &str, prefix: bool) -> Word {
        Word::Hashtag { name: name.to_owned(), prefix }
    }

    #[test]
    fn words_phrases_prefixes_and_hashtags() {
        let terms = Terms::parse(r#" (ship) "old harbour" sail* #Fleet #fl* -storm -"no wind" "#, 0);
        let sail = Word::Prefix("sail".to_owned());
        assert_eq!(
            terms.words,
            [text("ship"), text("old harbour"), sail, tag("#fleet", false), tag("#fl", true)]
        );
        assert_eq!(terms.without, [text("storm"), text("no wind")]);
        assert!(Terms::parse(r#" * - -- "" … "#, 0).is_empty());
        assert_eq!(Terms::parse("日本 -\"港 町\"", 0).words, [Word::Piece("日本".to_owned())]);
        assert_eq!(Terms::parse("\"open quote", 0).words, [text("open quote")]);
        assert_eq!(Terms::parse("#1 well-known @ada", 0).words, [text("1"), text("well-known"), text("ada")]);
    }

    #[test]
    fn filters() {
        let terms = Terms::parse("from:@Ada in: ~town-square -from:bob IN:@cleo ext:.pdf \"in:quoted\"", 0);
        assert_eq!(terms.authors, Choice { wanted: vec!["ada".into()], unwanted: vec!["bob".into()] });
        assert_eq!(terms.channels.wanted, ["town-square", "@cleo"]);
        assert_eq!(terms.extensions.wanted, ["pdf"]);
        assert_eq!(terms.words, [text("in:quoted")]);
    }

    #[test]
    fn dates_are_days_in_the_zone_of_the_client() {
        const DAY: i64 = 86_400_000;
        let times = |text: &str, offset| Terms::parse(text, offset).times;
        let start = 1_767_225_600_000;
        assert_eq!(times("on:2026-01-01", 0), Times { from: start, until: start + DAY, without: vec![] });
        assert_eq!(times("after:2026-1-1", 3600).from, start + DAY - 3_600_000);
        assert_eq!(times("before:2026-01-01", -3600).until, start + 3_600_000);
        assert_eq!(times("-before:2026-01-01", 0).from, start);
        assert_eq!(times("-after:2026-01-01", 0).until, start + DAY);
        assert_eq!(times("-on:2026-01-01", 0).without, [(start, start + DAY)]);
        assert_eq!(times("on:yesterday", 0).until, 0);
        assert_eq!(times("-on:2026-13-01", i64::MAX), Times::default());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[\"# a@:\\-*日İinfrom.0-9]{0,60}", offset in any::<i64>()) {
            let terms = Terms::parse(&text, offset);
            prop_assert!(terms.words.len() + terms.without.len() <= MOST);
            for word in terms.words.iter().chain(&terms.without) {
                let (Word::Text(text) | Word::Prefix(text) | Word::Piece(text)
                    | Word::Hashtag { name: text, .. }) = word;
                prop_assert!(text.chars().any(char::is_alphanumeric));
            }
        }
    }
}
