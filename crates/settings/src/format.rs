//! The format of `mainstay.toml` and `secrets.toml`, which outlive the version that wrote them.
//!
//! Both have had one format so far, and a file of it does not say so. A version that changes what a file means writes `format = 2` into
//! it; a version that does not know that format refuses the file instead of misreading it.

use toml::de::DeValue;

/// The key that says it.
pub(crate) const KEY: &str = "format";

/// The latest format that this version knows.
const KNOWN: i64 = 1;

/// Whether a file that says this can be read; otherwise what is wrong, and what is allowed.
pub(crate) fn check(value: &DeValue<'_>) -> Result<(), (String, String)> {
    let number =
        value.as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    match number {
        Some(1..=KNOWN) => Ok(()),
        Some(newer) if newer > KNOWN => Err((
            format!("is {newer}, and this version of Mainstay knows formats up to {KNOWN}"),
            "use the version that wrote the file, or a newer one".to_owned(),
        )),
        _ => Err(("is not the number of a format".to_owned(), format!("allowed: {KNOWN}"))),
    }
}
