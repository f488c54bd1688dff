//! A path as the log shows it.

/// Bytes of a path that are shown.
const LONGEST: usize = 200;

/// What comes after these is a secret: whoever knows it may post, or join.
const BEFORE_SECRETS: [&str; 3] = ["/hooks/", "/teams/invite/", "/public/"];

/// The path without what must not be in a log. The query, where tokens are, is not part of a path.
pub(super) fn shown(path: &str) -> String {
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
            assert_eq!(shown(path), expected, "{path}");
        }
        let long = shown(&format!("/{}", "x".repeat(3000)));
        assert_eq!(long.len(), LONGEST + 3);
        assert!(!shown(&format!("/hooks/{}", "x".repeat(3000))).contains('x'));
    }
}
