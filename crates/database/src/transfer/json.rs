//! JSON in one form: two texts that mean the same to PostgreSQL's `jsonb` have the same form, and no others.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Deeper ones are refused: PostgreSQL's own limit depends on its stack, and no Mattermost writes such.
const DEEPEST: usize = 200;

/// Why a text is no value of a `jsonb` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is no JSON.
    Malformed,
    /// One of its texts has a NUL character, which PostgreSQL cannot store.
    Nul,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is compared: numbers of the same value have the same form.
    Compared,
    /// It is stored, without NUL characters: numbers stay as they are written.
    Stored,
}

/// The form of a text. Keys are sorted, of those that are there twice the last one counts, and nothing stands between the parts.
pub(super) fn form(text: &str, what: Use) -> Result<String, Flaw> {
    let mut out = String::with_capacity(text.len());
    write(text, what, DEEPEST, &mut out)?;
    Ok(out)
}

fn write(text: &str, what: Use, depth: usize, out: &mut String) -> Result<(), Flaw> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let depth = depth.checked_sub(1).ok_or(Flaw::Malformed)?;
    match text.as_bytes().first() {
        Some(b'{') => {
            let parts: BTreeMap<String, &RawValue> = read(text)?;
            let mut before = '{';
            for (key, value) in parts {
                out.push(before);
                quote(&key, what, out)?;
                out.push(':');
                write(value.get(), what, depth, out)?;
                before = ',';
            }
            if before == '{' {
                out.push('{');
            }
            out.push('}');
        }
        Some(b'[') => {
            let parts: Vec<&RawValue> = read(text)?;
            out.push('[');
            for (at, value) in parts.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(value.get(), what, depth, out)?;
            }
            out.push(']');
        }
        Some(b'"') => quote(&read::<String>(text)?, what, out)?,
        Some(_) => {
            let _: &RawValue = read(text)?;
            match what {
                Use::Compared if text.ends_with(|c: char| c.is_ascii_digit()) => out.push_str(&number(text)),
                _ => out.push_str(text),
            }
        }
        None => return Err(Flaw::Malformed),
    }
    Ok(())
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Flaw> {
    serde_json::from_str(text).map_err(|_| Flaw::Malformed)
}

fn quote(text: &str, what: Use, out: &mut String) -> Result<(), Flaw> {
    let quoted = match (text.contains('\0'), what) {
        (true, Use::Compared) => return Err(Flaw::Nul),
        (true, Use::Stored) => serde_json::to_string(&text.replace('\0', "")),
        (false, _) => serde_json::to_string(text),
    };
    out.push_str(&quoted.map_err(|_| Flaw::Malformed)?);
    Ok(())
}

/// The value of a decimal number: its digits without zeros at the ends, and its exponent. `1e2`, `100` and `100.0` have the same.
pub(super) fn number(text: &str) -> String {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let kept = digits.trim_end_matches('0');
    let Ok(exponent) = exponent.parse::<i64>() else { return text.to_owned() };
    if kept.is_empty() {
        return "0".to_owned();
    }
    let exponent = exponent - fraction.len() as i64 + (digits.len() - kept.len()) as i64;
    format!("{sign}{kept}e{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_same_value_have_the_same_form() {
        let same = [
            (r#"{"b": 1, "a": [true, null]}"#, r#"{"a":[true,null],"b":1.0}"#),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
            (r#""\u00e4\/""#, "\"ä/\""),
            (r#""\ud83d\ude00""#, "\"😀\""),
            ("1e2", "100"),
            ("-0.0", "0"),
            ("0.10", "1E-1"),
            (" {} ", "{ }"),
            ("12345678901234567890123", "12345678901234567890123.0"),
        ];
        for (one, other) in same {
            let form = |text| form(text, Use::Compared).unwrap_or_else(|flaw| panic!("{text}: {flaw:?}"));
            assert_eq!(form(one), form(other), "{one} {other}");
        }
        let other =
            [("1", "\"1\""), ("10", "1"), ("[1,2]", "[2,1]"), ("{}", "[]"), ("-1", "1"), ("null", "false")];
        for (one, other) in other {
            assert_ne!(form(one, Use::Compared), form(other, Use::Compared), "{one} {other}");
        }
    }

    #[test]
    fn what_postgresql_refuses_is_told_from_what_it_takes() {
        for text in ["", "{", "{'a': 1}", "01", "nul", "[1,]", r#""\ud83d""#, "\"\n\"", "1 2"] {
            assert_eq!(form(text, Use::Compared), Err(Flaw::Malformed), "{text}");
        }
        assert_eq!(form(&"[".repeat(1000), Use::Compared), Err(Flaw::Malformed));
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(form(&deep, Use::Compared), Err(Flaw::Malformed));
        let nul = r#"{"a\u0000b": ["\\u0000", "x\u0000"], "n": 1.50}"#;
        assert_eq!(form(nul, Use::Compared), Err(Flaw::Nul));
        assert_eq!(form(nul, Use::Stored).as_deref(), Ok(r#"{"ab":["\\u0000","x"],"n":1.50}"#));
    }
}
