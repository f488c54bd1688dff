//! What a text holds that somebody meant to be replaced: by a shell, Compose, Kubernetes, a template or a reader of the manual.

/// The first placeholder that no value has, whatever it is for: `${NAME}` (Compose and shells, also `${NAME:-default}`) and `$(NAME)`
/// (Kubernetes leaves one as it is when it knows no such variable).
pub(crate) fn certain(text: &str) -> Option<&str> {
    let in_braces = enclosed(text, "${", "}")
        .find(|(_, name)| is_name(name.split([':', '-', '?', '+']).next().unwrap_or_default()));
    let in_parentheses = || enclosed(text, "$(", ")").find(|(_, name)| is_name(name));
    in_braces.or_else(in_parentheses).map(|(whole, _)| whole)
}

/// The first placeholder in an address, a path or a word. Beyond the certain ones: `$NAME`, `{{ name }}`, `<your-name>`, `__NAME__`,
/// `@NAME@`, `#{name}` and `[[name]]`, which a password may have in it.
pub(crate) fn likely(text: &str) -> Option<&str> {
    let is_worded = |inner: &str| {
        inner.starts_with(|c: char| c.is_alphabetic())
            && inner.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | ':'))
    };
    let in_brackets = || enclosed(text, "<", ">").find(|(_, inner)| is_worded(inner));
    let in_two_braces = || enclosed(text, "{{", "}}").next();
    let of_deployment_tools =
        || enclosed(text, "#{", "}").chain(enclosed(text, "[[", "]]")).find(|(_, inner)| is_worded(inner));
    let in_brackets = || in_two_braces().or_else(in_brackets).or_else(of_deployment_tools);
    let found = certain(text).or_else(|| in_brackets().map(|(whole, _)| whole));
    found.or_else(|| variable(text)).or_else(|| marked(text))
}

/// `$NAME`: in any case where it is the whole text, and in upper case within one.
fn variable(text: &str) -> Option<&str> {
    if text.strip_prefix('$').is_some_and(is_name) {
        return Some(text);
    }
    text.match_indices('$').find_map(|(start, _)| {
        let rest = &text[start + 1..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = &rest[..end];
        (is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase()))
            .then(|| &text[start..=start + end])
    })
}

/// `__NAME__` and `@NAME@`, in upper case, as templates of build tools have them.
fn marked(text: &str) -> Option<&str> {
    let is_marked =
        |(_, name): &(&str, &str)| is_name(name) && !name.contains(|c: char| c.is_ascii_lowercase());
    let underscores = enclosed(text, "__", "__").find(is_marked);
    underscores.or_else(|| enclosed(text, "@", "@").find(is_marked)).map(|(whole, _)| whole)
}

/// `[host]` as the host of an address: brackets are for IPv6 addresses, and a name between them is to be replaced.
pub(crate) fn in_host(host: &str) -> Option<&str> {
    let inner = host.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.contains(':') && inner.starts_with(|c: char| c.is_alphabetic())).then_some(host)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Every part of a text between these two, with them and without.
fn enclosed<'a>(
    text: &'a str,
    open: &'static str,
    close: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(open).filter_map(move |(start, _)| {
        let inner = &text[start + open.len()..];
        let end = inner.find(close)?;
        Some((&text[start..start + open.len() + end + close.len()], &inner[..end]))
    })
}

/// What is said about one.
pub(crate) fn problem(placeholder: &str) -> String {
    format!("has `{placeholder}` in it, which nothing has replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_found() {
        for (text, found) in [
            ("https://${DOMAIN}/x", "${DOMAIN}"),
            ("${DB_PASS:-x}", "${DB_PASS:-x}"),
            ("https://$(DOMAIN)", "$(DOMAIN)"),
        ] {
            assert_eq!((certain(text), likely(text)), (Some(found), Some(found)), "{text}");
        }
        for (text, found) in [
            ("$DOMAIN", "$DOMAIN"),
            ("$domain", "$domain"),
            ("https://$DOMAIN:80/", "$DOMAIN"),
            ("{{ domain }}", "{{ domain }}"),
            ("https://{{ .Values.host }}/", "{{ .Values.host }}"),
            ("<your-domain>", "<your-domain>"),
            ("chat@<your domain>", "<your domain>"),
            ("/srv/$USER/files", "$USER"),
            ("https://__HOST__/x", "__HOST__"),
            ("https://@HOST@:8065", "@HOST@"),
            ("https://#{chat.host}", "#{chat.host}"),
            ("[[domain]]", "[[domain]]"),
        ] {
            assert_eq!((certain(text), likely(text)), (None, Some(found)), "{text}");
        }
    }

    #[test]
    fn what_may_be_meant_is_none() {
        for text in [
            "",
            "$",
            "${",
            "${}",
            "$5",
            "$5{a}",
            "a$b",
            "$()",
            "$(a b)",
            "{a}",
            "}} {{",
            "a < b > c",
            "<3>",
            "<@x>",
            "100%",
            "__init__",
            "a__b",
            "chat@example.com, b@EXAMPLE.COM",
            "#{1}",
            "[[1]]",
        ] {
            assert_eq!(likely(text), None, "{text}");
        }
    }
}
