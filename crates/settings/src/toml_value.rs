//! A value of TOML: what it is in words, and the same as JSON.

use serde_json::Value;
use toml::de::DeValue;

/// What it is, in words.
pub(crate) fn a_kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The same as JSON.
///
/// # Errors
/// JSON has no such value, as a sentence fragment.
pub(crate) fn json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let parsed = i64::from_str_radix(&digits, number.radix());
            Value::from(parsed.map_err(|_| format!("is {digits}, which does not fit 64 bits"))?)
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().replace('_', "").parse::<f64>().ok();
            parsed
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or("is not a finite number")?
        }
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Result<_, _>>()?,
        DeValue::Table(table) => {
            let pairs =
                table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?)));
            Value::Object(pairs.collect::<Result<_, String>>()?)
        }
        DeValue::Datetime(_) => return Err("is a date, which config.json cannot hold".to_owned()),
    })
}
