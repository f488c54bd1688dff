//! Where backups are kept, and how fast they are written.

use super::address::{bucket, path};

/// What is allowed for a repository.
pub(super) const REPOSITORIES: &str = "a directory without `..`, as in backups or /mnt/backups, or s3://BUCKET/PREFIX, as in s3://company-backups/chat";

/// What is allowed for a rate.
pub(super) const RATES: &str = "a number with kB/s, MB/s or GB/s, as in 20MB/s";

/// How object storage begins.
const S3: &str = "s3://";

/// The same text, if it is a place.
pub(super) fn repository(text: &str) -> Result<String, String> {
    let problem = |why: &str| format!("is `{text}`, {why}");
    if let Some(place) = text.strip_prefix(S3) {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        bucket(name).map_err(|_| {
            problem("whose bucket is not a name of 3 to 255 letters, digits, `-`, `.` and `_`")
        })?;
        return match prefix.split('/').any(|part| part == "." || part == "..")
            || prefix.contains(char::is_control)
        {
            true => Err(problem("whose prefix holds `.`, `..` or a control character")),
            false => Ok(text.to_owned()),
        };
    }
    if text.contains("://") || text.starts_with("s3:") {
        return Err(problem("which is the address of something else"));
    }
    let text = path(text)?;
    match text.split('/').any(|part| part == "..") {
        _ if text.trim().is_empty() => Err("is empty".to_owned()),
        true => Err(format!("is `{text}`, which holds `..`")),
        false => Ok(text),
    }
}

/// Bytes a second; `None` = it is no rate.
pub fn rate(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit.trim() {
        "kB/s" | "KB/s" => 1_000,
        "MB/s" => 1_000_000,
        "GB/s" => 1_000_000_000,
        "KiB/s" => 1 << 10,
        "MiB/s" => 1 << 20,
        "GiB/s" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|rate| *rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("20MB/s"), Some(20_000_000));
        assert_eq!(rate(" 5 MiB/s "), Some(5 << 20));
        for text in ["", "MB/s", "20", "0MB/s", "-1MB/s", "99999999999999999999GB/s"] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn places_are_kept_as_they_are_written() {
        for text in ["backups", "/mnt/back ups", "s3://company-backups", "s3://company-backups/chat/live"] {
            assert_eq!(repository(text).as_deref(), Ok(text));
        }
    }
}
