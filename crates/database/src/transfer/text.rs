//! Rows as PostgreSQL's `copy` writes and reads them: a line each, tabs between the columns, `\N` for NULL.

/// Adds a column to a line.
pub(super) fn push(line: &mut Vec<u8>, first: bool, value: Option<&str>) {
    if !first {
        line.push(b'\t');
    }
    let Some(value) = value else {
        line.extend_from_slice(b"\\N");
        return;
    };
    let bytes = value.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => continue,
        };
        line.extend_from_slice(&bytes[start..at]);
        line.extend_from_slice(escaped);
        start = at + 1;
    }
    line.extend_from_slice(&bytes[start..]);
}

/// The columns of a line without its end; `None` is NULL.
pub(super) fn columns(line: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> {
    line.split(|byte| *byte == b'\t').map(|field| (field != b"\\N").then(|| unescaped(field)))
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    if memchr::memchr(b'\\', field).is_none() {
        return field.to_vec();
    }
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(other) => out.push(*other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let values =
            [Some("plain"), None, Some(""), Some("\\N"), Some("a\tb\nc\\d\re"), Some("\\."), Some("😀")];
        let mut line = Vec::new();
        for (at, value) in values.iter().enumerate() {
            push(&mut line, at == 0, *value);
        }
        assert!(!line.contains(&b'\n'));
        let read: Vec<_> =
            columns(&line).map(|field| field.map(|bytes| String::from_utf8(bytes).expect("text"))).collect();
        assert_eq!(read, values.map(|value| value.map(str::to_owned)));
        let theirs: Vec<_> = columns(br"\b\f\v\x").collect();
        assert_eq!(theirs, [Some(b"\x08\x0c\x0bx".to_vec())]);
    }
}
