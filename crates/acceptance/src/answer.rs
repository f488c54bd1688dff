//! An HTTP answer that refuses a request, shortened and made safe to show.

use reqwest::header::{HeaderMap, HeaderValue, LOCATION, SERVER};

use crate::wire::AppError;

/// The parts of an HTTP answer that say something about its cause.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The stable id of Mattermost's error; empty if the body is not one.
    pub id: String,
    /// The error's message, or the beginning of the body; one line, no control characters.
    pub message: String,
    /// Whether Mattermost itself answered, not something in front of it.
    pub from_mattermost: bool,
    /// Mattermost had answered an earlier request: it is neither down nor unknown to what is in front of it.
    pub answered_before: bool,
    /// The `Server` header: names the proxy, usually.
    pub server: Option<String>,
    /// The `Location` header.
    pub location: Option<String>,
}

impl Answer {
    /// The answer with this status, these headers and this body.
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let error = AppError::read(body);
        let is_mattermost = ["x-request-id", "x-version-id"].iter().any(|name| headers.contains_key(*name));
        Self {
            status,
            from_mattermost: is_mattermost || error.is_some(),
            answered_before: false,
            message: one_line(&match &error {
                Some(error) => error.message.clone(),
                None => String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned(),
            }),
            id: error.map(|error| one_line(&error.id)).unwrap_or_default(),
            server: header(SERVER.as_str()).map(one_line),
            location: header(LOCATION.as_str()).map(one_line),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered {}", self.status)?;
        if let Some(location) = &self.location {
            write!(f, " to {location}")?;
        }
        if !self.id.is_empty() {
            write!(f, " ({})", self.id)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match (&self.server, self.from_mattermost) {
            (Some(server), false) => write!(f, " [from {server}]"),
            _ => Ok(()),
        }
    }
}

/// The text on one line of at most 160 characters, without markup and control characters: it is shown on a terminal, and comes
/// from an unknown server.
pub(crate) fn one_line(text: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for character in text.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                plain.push(' ');
            }
            _ if in_tag => {}
            c => plain.push(c),
        }
    }
    finding::one_line(&plain, 160)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_text_becomes_one_plain_line() {
        let body = b"<html><head><title>502 Bad Gateway</title></head>\x1b[31m\r\n<hr>nginx</html>";
        let answer = Answer::new(502, &HeaderMap::new(), body);
        assert_eq!(answer.to_string(), "answered 502: 502 Bad Gateway [31m nginx");
        assert!(one_line(&"é".repeat(500)).chars().count() == 161);
    }

    #[test]
    fn an_app_error_names_mattermost() {
        let body = br#"{"id":"api.context.permissions.app_error","message":"No.","status_code":403}"#;
        let answer = Answer::new(403, &HeaderMap::new(), body);
        assert!(answer.from_mattermost);
        assert_eq!(answer.to_string(), "answered 403 (api.context.permissions.app_error): No.");
    }
}
