//! The `Range` header of RFC 9110, for one range of bytes.

/// The part of a file that a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// The whole file: the header has several ranges or an unknown form, and is ignored, as RFC 9110 allows.
    Whole,
    /// Both ends are included.
    Part {
        first: u64,
        last: u64,
    },
    Outside,
}

impl Range {
    /// The part that `value` asks for, of a file of `length` bytes.
    pub(crate) fn parse(value: &str, length: u64) -> Range {
        let Some((first, last)) = value.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
        else {
            return Range::Whole;
        };
        let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => (first, last),
            (Ok(first), Err(_)) if last.is_empty() => (first, u64::MAX),
            (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), u64::MAX),
            _ => return Range::Whole,
        };
        match length.checked_sub(1) {
            Some(end) if first <= end && first <= last => Range::Part { first, last: last.min(end) },
            _ => Range::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_as_in_the_standard() {
        for (value, expected) in [
            ("bytes=0-4", Range::Part { first: 0, last: 4 }),
            ("bytes=5-", Range::Part { first: 5, last: 9 }),
            ("bytes=-3", Range::Part { first: 7, last: 9 }),
            ("bytes=-99", Range::Part { first: 0, last: 9 }),
            ("bytes=8-99", Range::Part { first: 8, last: 9 }),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=4-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=0-1", Range::Whole),
        ] {
            assert_eq!(Range::parse(value, 10), expected, "{value}");
        }
        assert_eq!(Range::parse("bytes=0-0", 0), Range::Outside);
    }
}
