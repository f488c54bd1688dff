//! Which function answers a call.

use crate::Function;

/// The function that answers a call: of those whose path the call's path begins with, the one with the longest path; of equal ones the
/// first. There is no boundary at `/`: `/topic` answers `/topical`, as in Mattermost.
pub fn route<'f>(functions: &'f [Function], path: &str) -> Option<&'f Function> {
    let matching = functions.iter().filter(|function| path.starts_with(&function.path));
    matching.reduce(|best, next| if next.path.len() > best.path.len() { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_answers_and_of_equal_ones_the_first() {
        let function = |path: &str, name: &str| Function {
            path: path.to_owned(),
            name: name.to_owned(),
            ..Function::default()
        };
        let functions = [
            function("/topic", "topic"),
            function("/topic/subtopic/", "subtopic"),
            function("/other", "other"),
            function("/", "main"),
            function("/", "second"),
        ];
        for (path, name) in [
            ("/different", "main"),
            ("/topic/subtopic/and-then-some", "subtopic"),
            ("/topic/other/and-then-some", "topic"),
            ("/other/and-then-some", "other"),
            ("/topical", "topic"),
        ] {
            assert_eq!(route(&functions, path).map(|function| &*function.name), Some(name), "{path}");
        }
        assert_eq!(route(&functions[..3], "/different"), None);
        assert_eq!(route(&functions, "no-slash"), None);
    }
}
