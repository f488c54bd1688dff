//! The `WWW-Authenticate` header of a 401 answer (RFC 9110).
use std::collections::BTreeMap;

/// One way to authenticate, with its parameters. Names are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Challenge {
    pub(crate) scheme: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The challenges in one header's value. Parsing stops at the first text that is not a challenge.
pub(crate) fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return found;
        }
        rest = after.trim_start_matches([' ', '\t']);
        match (rest.strip_prefix('='), found.last_mut()) {
            // `name=value` belongs to the challenge before it; a word without `=` begins the next one.
            (Some(after), Some(challenge)) => {
                let Some((value, after)) = parameter(after.trim_start_matches([' ', '\t'])) else {
                    return found;
                };
                challenge.parameters.insert(word.to_ascii_lowercase(), value);
                rest = after;
            }
            (Some(_), None) => return found,
            (None, _) => found.push(Challenge { scheme: word.to_ascii_lowercase(), ..Challenge::default() }),
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// A token or a quoted string, and the text after it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Some registries do not quote addresses.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<(String, Vec<(String, String)>)> {
        challenges(value).into_iter().map(|c| (c.scheme, c.parameters.into_iter().collect())).collect()
    }

    fn expected(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        (scheme.to_owned(), parameters.iter().map(own).collect())
    }

    #[test]
    fn registries_ask_for_tokens_and_passwords() {
        let token =
            r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push""#;
        let parameters = [
            ("realm", "https://auth.example/token"),
            ("scope", "repository:a/b:pull,push"),
            ("service", "r"),
        ];
        assert_eq!(read(token), [expected("bearer", &parameters)]);
        assert_eq!(read(r#"basic Realm = "a \"b\" c""#), [expected("basic", &[("realm", r#"a "b" c"#)])]);
        assert_eq!(
            read(r"Negotiate, Bearer realm=http://h/t, Basic realm=x"),
            [
                expected("negotiate", &[]),
                expected("bearer", &[("realm", "http://h/t")]),
                expected("basic", &[("realm", "x")])
            ]
        );
    }

    #[test]
    fn parsing_stops_at_damaged_text() {
        for value in ["", ",,", "=", "realm=x", "\"", "(", "é"] {
            assert_eq!(read(value), [], "{value:?}");
        }
        for value in ["Bearer realm=\"open", "Bearer realm=\"a\\", "Bearer (", "Bearer realm"] {
            assert_eq!(read(value)[0], expected("bearer", &[]), "{value:?}");
        }
    }
}
