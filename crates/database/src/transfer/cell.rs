//! One value: as a source has it, as a column of PostgreSQL takes it, and the form in which both are compared.

use std::borrow::Cow;

use super::json::{self, Flaw, Use};

/// A value as a source has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a column of the target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    /// Whole numbers of so many bytes.
    Integer(u8),
    Numeric,
    Float,
    /// Text of at most so many characters.
    Text(Option<usize>),
    Json,
    Bytes,
}

/// Why the target cannot store a value as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misfit {
    /// It has more characters than the column may have.
    Long(usize),
    /// It has a NUL character.
    Nul,
    /// It is no text in UTF-8.
    NotText,
    /// It is no JSON.
    NotJson,
    /// It is no such number.
    NotNumber,
    /// It is neither true nor false.
    NotBoolean,
    /// It is NULL, and the column takes none.
    Null,
}

impl Misfit {
    /// What is wrong, after the name of the column.
    pub(super) fn words(self) -> String {
        match self {
            Self::Long(most) => format!("is longer than {most} characters"),
            Self::Nul => "has a NUL character".to_owned(),
            Self::NotText => "is no text in UTF-8".to_owned(),
            Self::NotJson => "is no JSON".to_owned(),
            Self::NotNumber => "is no number that fits".to_owned(),
            Self::NotBoolean => "is neither true nor false".to_owned(),
            Self::Null => "is NULL".to_owned(),
        }
    }

    /// What a repair makes of it; `None` = nobody can know what was meant.
    pub(super) const fn repair(self) -> Option<&'static str> {
        match self {
            Self::Long(_) => Some("is cut"),
            Self::Nul => Some("loses its NUL characters"),
            Self::Null => Some("becomes empty, zero or false"),
            Self::NotText | Self::NotJson | Self::NotNumber | Self::NotBoolean => None,
        }
    }
}

/// A value that the target takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fitted<'a> {
    /// As `copy` reads it, before its escapes; `None` is NULL.
    pub stored: Option<Cow<'a, str>>,
    /// As it is compared, where that is something else.
    pub form: Option<String>,
    /// What had to be repaired.
    pub repaired: Option<Misfit>,
}

impl<'a> Fitted<'a> {
    fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self { stored: Some(text.into()), form: None, repaired: None }
    }

    /// As it is compared.
    pub(super) fn form(&self) -> Option<&str> {
        self.form.as_deref().or(self.stored.as_deref())
    }
}

/// The value for a column. With `repair`, what does not fit is made to, where that can be.
pub(super) fn fit(cell: &Cell, kind: Kind, nullable: bool, repair: bool) -> Result<Fitted<'_>, Misfit> {
    match cell {
        Cell::Null if nullable => Ok(Fitted { stored: None, form: None, repaired: None }),
        Cell::Null if !repair => Err(Misfit::Null),
        Cell::Null => {
            let zero = match kind {
                Kind::Boolean => "f",
                Kind::Integer(_) | Kind::Numeric | Kind::Float => "0",
                Kind::Text(_) => "",
                Kind::Json => "null",
                Kind::Bytes => "\\x",
            };
            Ok(Fitted { repaired: Some(Misfit::Null), form: form(zero, kind), ..Fitted::plain(zero) })
        }
        _ => match kind {
            Kind::Boolean => boolean(cell).map(Fitted::plain),
            Kind::Integer(bytes) => integer(cell, bytes).map(|whole| Fitted::plain(whole.to_string())),
            Kind::Numeric | Kind::Float => number(cell, kind),
            Kind::Text(most) => text(cell, most, repair),
            Kind::Json => json(cell, repair),
            Kind::Bytes => Ok(Fitted::plain(hex(match cell {
                Cell::Bytes(bytes) => bytes,
                Cell::Text(text) => text.as_bytes(),
                _ => return Err(Misfit::NotText),
            }))),
        },
    }
}

/// How a value that the target has is compared, where that is something else than what `copy` writes.
pub(super) fn form(stored: &str, kind: Kind) -> Option<String> {
    match kind {
        // What the target takes is JSON.
        Kind::Json => json::form(stored, Use::Compared).ok(),
        Kind::Numeric => Some(json::number(stored)),
        Kind::Float => stored.parse::<f64>().ok().map(|number| format!("{:016x}", number.to_bits())),
        _ => None,
    }
}

fn boolean(cell: &Cell) -> Result<&'static str, Misfit> {
    let is_true = match cell {
        Cell::Integer(number) => *number != 0,
        Cell::Text(text) => match text.as_str() {
            "0" | "f" | "false" => false,
            "1" | "t" | "true" => true,
            // Some columns of MySQL are whole numbers of one byte.
            other => other.parse::<i64>().map_err(|_| Misfit::NotBoolean)? != 0,
        },
        _ => return Err(Misfit::NotBoolean),
    };
    Ok(if is_true { "t" } else { "f" })
}

fn integer(cell: &Cell, bytes: u8) -> Result<i64, Misfit> {
    let whole = match cell {
        Cell::Integer(number) => *number,
        Cell::Text(text) => text.trim().parse().map_err(|_| Misfit::NotNumber)?,
        // Whole numbers up to 2^53 are the same in both.
        Cell::Real(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => *number as i64,
        _ => return Err(Misfit::NotNumber),
    };
    let fits = match bytes {
        2 => i16::try_from(whole).is_ok(),
        4 => i32::try_from(whole).is_ok(),
        _ => true,
    };
    if fits { Ok(whole) } else { Err(Misfit::NotNumber) }
}

fn number(cell: &Cell, kind: Kind) -> Result<Fitted<'_>, Misfit> {
    let text = match cell {
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) if number.is_finite() => number.to_string(),
        Cell::Text(text) => text.trim().to_owned(),
        _ => return Err(Misfit::NotNumber),
    };
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    match form(&text, kind).filter(|_| is_number) {
        Some(form) => Ok(Fitted { form: Some(form), ..Fitted::plain(text) }),
        None => Err(Misfit::NotNumber),
    }
}

/// The text of a cell, whatever its source keeps texts as.
fn text_of(cell: &Cell) -> Result<Cow<'_, str>, Misfit> {
    match cell {
        Cell::Text(text) => Ok(text.into()),
        Cell::Integer(number) => Ok(number.to_string().into()),
        Cell::Bytes(bytes) => std::str::from_utf8(bytes).map(Cow::from).map_err(|_| Misfit::NotText),
        Cell::Real(_) | Cell::Null => Err(Misfit::NotText),
    }
}

fn text(cell: &Cell, most: Option<usize>, repair: bool) -> Result<Fitted<'_>, Misfit> {
    let mut text = text_of(cell)?;
    let mut repaired = None;
    if memchr::memchr(0, text.as_bytes()).is_some() {
        if !repair {
            return Err(Misfit::Nul);
        }
        text = text.replace('\0', "").into();
        repaired = Some(Misfit::Nul);
    }
    // A character has at least one byte, so short texts need not be counted.
    if let Some(most) = most.filter(|most| text.len() > *most)
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        if !repair {
            return Err(Misfit::Long(most));
        }
        text = text[..end].to_owned().into();
        repaired = Some(Misfit::Long(most));
    }
    Ok(Fitted { repaired, ..Fitted::plain(text) })
}

fn json(cell: &Cell, repair: bool) -> Result<Fitted<'_>, Misfit> {
    let text = text_of(cell)?;
    match json::form(&text, Use::Compared) {
        Ok(form) => Ok(Fitted { form: Some(form), ..Fitted::plain(text) }),
        Err(Flaw::Malformed) => Err(Misfit::NotJson),
        Err(Flaw::Nul) if !repair => Err(Misfit::Nul),
        Err(Flaw::Nul) => {
            let stored = json::form(&text, Use::Stored).map_err(|_| Misfit::NotJson)?;
            let form = json::form(&stored, Use::Compared).map_err(|_| Misfit::NotJson)?;
            Ok(Fitted { form: Some(form), repaired: Some(Misfit::Nul), ..Fitted::plain(stored) })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(cell: &Cell, kind: Kind) -> Result<Option<String>, Misfit> {
        fit(cell, kind, true, false).map(|fitted| fitted.stored.map(Cow::into_owned))
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn each_type_takes_what_the_sources_have_for_it() {
        let taken = [
            (Cell::Null, Kind::Json, None),
            (Cell::Integer(1), Kind::Boolean, Some("t")),
            (text("0"), Kind::Boolean, Some("f")),
            (text("7"), Kind::Boolean, Some("t")),
            (text("-9223372036854775808"), Kind::Integer(8), Some("-9223372036854775808")),
            (Cell::Real(3.0), Kind::Integer(4), Some("3")),
            (Cell::Integer(5), Kind::Text(None), Some("5")),
            (Cell::Bytes(b"text".to_vec()), Kind::Text(Some(4)), Some("text")),
            (text("ääää"), Kind::Text(Some(4)), Some("ääää")),
            (Cell::Bytes(vec![0, 255]), Kind::Bytes, Some("\\x00ff")),
            (text("1.50"), Kind::Numeric, Some("1.50")),
        ];
        for (cell, kind, expected) in taken {
            assert_eq!(stored(&cell, kind), Ok(expected.map(str::to_owned)), "{cell:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_and_repaired_only_when_asked() {
        let refused = [
            (text("äääää"), Kind::Text(Some(4)), Misfit::Long(4), Some("ääää")),
            (text("a\0b"), Kind::Text(None), Misfit::Nul, Some("ab")),
            (text("[\"a\\u0000\"]"), Kind::Json, Misfit::Nul, Some("[\"a\"]")),
            (text(""), Kind::Json, Misfit::NotJson, None),
            (Cell::Bytes(vec![255]), Kind::Text(None), Misfit::NotText, None),
            (Cell::Integer(1 << 40), Kind::Integer(4), Misfit::NotNumber, None),
            (text("0000-00-00"), Kind::Integer(8), Misfit::NotNumber, None),
            (text("yes"), Kind::Boolean, Misfit::NotBoolean, None),
            (Cell::Real(0.5), Kind::Integer(8), Misfit::NotNumber, None),
        ];
        for (cell, kind, misfit, repaired) in refused {
            assert_eq!(fit(&cell, kind, true, false), Err(misfit), "{cell:?}");
            match (fit(&cell, kind, true, true), repaired) {
                (Ok(fitted), Some(expected)) => {
                    assert_eq!(fitted.stored.as_deref(), Some(expected));
                    assert_eq!(fitted.repaired, Some(misfit));
                }
                (Err(left), None) => assert_eq!((left, misfit.repair()), (misfit, None)),
                other => panic!("{cell:?}: {other:?}"),
            }
        }
        assert_eq!(fit(&Cell::Null, Kind::Text(None), false, false), Err(Misfit::Null));
        let zero = fit(&Cell::Null, Kind::Boolean, false, true).expect("repaired");
        assert_eq!((zero.stored.as_deref(), zero.repaired), (Some("f"), Some(Misfit::Null)));
    }

    #[test]
    fn both_sides_have_the_same_form() {
        let pairs = [
            (text(r#"{"b": 1, "a": 2}"#), Kind::Json, r#"{"a": 2, "b": 1.0}"#),
            (Cell::Real(0.1), Kind::Float, "0.1"),
            (Cell::Real(1e30), Kind::Float, "1e+30"),
            (text("1.50"), Kind::Numeric, "1.5"),
            (Cell::Integer(1), Kind::Boolean, "t"),
        ];
        for (cell, kind, there) in pairs {
            let fitted = fit(&cell, kind, true, false).expect("it fits");
            let there = form(there, kind).unwrap_or_else(|| there.to_owned());
            assert_eq!(fitted.form(), Some(there.as_str()), "{cell:?}");
        }
    }
}
