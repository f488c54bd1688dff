//! A path as the log shows it.

/// Bytes of a path that are shown.
const LONGEST: usize = 200;

/// What comes after these is a secret: whoever knows it may post, or join.
const BEFORE_SECRETS: [&str; 3] = ["/hooks/", "/teams/invite/", "/public/"];

/// As much of a path as [`shown`] needs. Keeping it is all that is done for each request; most are only counted, and never
/// shown. It is kept in place: a line ends in another thread than it began, and memory that moves between threads is slow.
#[derive(Clone, PartialEq)]
pub(crate) struct Kept {
    // One byte more than is shown tells that there was more.
    bytes: [u8; LONGEST + 1],
    len: usize,
}

impl Kept {
    pub(super) fn of(path: &str) -> Kept {
        let mut kept = Kept { bytes: [0; LONGEST + 1], len: path.len().min(LONGEST + 1) };
        if let (Some(to), Some(from)) = (kept.bytes.get_mut(..kept.len), path.as_bytes().get(..kept.len)) {
            to.copy_from_slice(from);
        }
        kept
    }

    /// The path as the log shows it.
    pub(super) fn shown(&self) -> String {
        shown(&String::from_utf8_lossy(self.bytes.get(..self.len).unwrap_or_default()))
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown().fmt(f)
    }
}

/// The path without what must not be in a log. The query, where tokens are, is not part of a path.
fn shown(path: &str) -> String {
    let end = secret_in(path).filter(|end| *end < path.len());
    // A path is ASCII, so any cut is between two characters.
    match end.map_or(path, |end| path.get(..end).unwrap_or_default()) {
        long if long.len() > LONGEST => format!("{}...", long.get(..LONGEST).unwrap_or_default()),
        whole if end.is_some() => format!("{whole}..."),
        whole => whole.to_owned(),
    }
}

/// Where the first secret begins.
fn secret_in(path: &str) -> Option<usize> {
    // Each of them begins with a slash, and a path has few.
    path.match_indices('/').find_map(|(at, _)| {
        let before =
            BEFORE_SECRETS.iter().find(|before| path.as_bytes()[at..].starts_with(before.as_bytes()))?;
        Some(at + before.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_the_ends_of_long_paths_are_left_out() {
        for (path, expected) in [
            ("/", "/"),
            ("/api/v4/users/me", "/api/v4/users/me"),
            ("/hooks/xyz1234567", "/hooks/..."),
            ("/hooks/commands/xyz1234567", "/hooks/..."),
            ("/chat/hooks/", "/chat/hooks/"),
            ("/api/v4/teams/invite/abc", "/api/v4/teams/invite/..."),
        ] {
            assert_eq!(Kept::of(path).shown(), expected, "{path}");
        }
        let long = Kept::of(&format!("/{}", "x".repeat(3000))).shown();
        assert_eq!(long.len(), LONGEST + 3);
        assert!(!Kept::of(&format!("/hooks/{}", "x".repeat(3000))).shown().contains('x'));
        // Wherever the path is cut, the log shows the same as of the whole path, and no secret.
        for before in 180..220 {
            let path = format!("/{}/hooks/{}", "x".repeat(before), "s".repeat(40));
            assert_eq!(Kept::of(&path).shown(), shown(&path), "{path}");
            assert!(!Kept::of(&path).shown().contains("/s"), "{path}");
        }
    }
}
