//! A mail (RFC 5322).

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message as Mail};

use crate::failure::MailError;
use crate::server::MailServer;

/// A mail to one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The recipient's address.
    pub to: String,
    /// The subject; line ends in it become spaces.
    pub subject: String,
    /// The message as text.
    pub text: String,
    /// The same as an HTML document; `None` = text alone.
    pub html: Option<String>,
}

/// Whether a text can be an address in an envelope and a header. Only its mail server knows whether it exists.
pub fn is_address(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c);
    text.rsplit_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.is_empty() && !name.contains('@') && !text.contains(forbidden)
    })
}

/// One line of text for a header.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn address(whose: &'static str, text: &str) -> Result<Address, MailError> {
    let refused = || MailError::Address { whose, address: line(text).chars().take(128).collect() };
    // What the parser takes more leniently is refused first.
    if !is_address(text) {
        return Err(refused());
    }
    text.parse().map_err(|_| refused())
}

impl Message {
    pub(crate) fn compose(&self, server: &MailServer) -> Result<Mail, MailError> {
        let broken = |error: lettre::error::Error| MailError::Message(error.to_string());
        let from = address("the sender's", &server.from)?;
        let domain = from.domain().to_owned();
        let name = Some(line(&server.from_name)).filter(|name| !name.is_empty());
        let mut builder = Mail::builder()
            .from(Mailbox::new(name, from))
            .to(Mailbox::new(None, address("the recipient's", &self.to)?))
            .subject(line(&self.subject))
            .message_id(Some(format!("<{:032x}@{domain}>", rand::random::<u128>())))
            .date_now();
        if !server.reply_to.is_empty() {
            builder = builder.reply_to(Mailbox::new(None, address("the reply", &server.reply_to)?));
        }
        for (name, value) in [("Auto-Submitted", "auto-generated"), ("Precedence", "bulk")] {
            let name = HeaderName::new_from_ascii_str(name);
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
        let part = |kind: ContentType, body: &str| SinglePart::builder().header(kind).body(body.to_owned());
        let text = part(ContentType::TEXT_PLAIN, &self.text);
        match &self.html {
            None => builder.singlepart(text).map_err(broken),
            Some(html) => builder
                .multipart(
                    MultiPart::alternative().singlepart(text).singlepart(part(ContentType::TEXT_HTML, html)),
                )
                .map_err(broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_break_a_line_are_refused() {
        for wrong in ["", "a", "@x", "a@", "a@b@c", "a@x\r\nRCPT TO:<z@z>", "<a@x>", "a b@x", "a@x>"] {
            assert!(!is_address(wrong), "{wrong:?}");
        }
        for right in ["a@x", "first.last+tag@sub.example.org", "ü@例え.jp"] {
            assert!(is_address(right), "{right:?}");
        }
    }
}
