//! The test message (RFC 5322).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

/// Bytes of text in an encoded word, so that the whole word has at most 75 characters (RFC 2047 section 2).
const WORD: usize = 45;

/// Characters in a line of base64.
const LINE: usize = 76;

pub(super) struct Message<'a> {
    pub(super) from: &'a str,
    /// Empty: none.
    pub(super) reply_to: &'a str,
    pub(super) to: &'a str,
    pub(super) site_name: &'a str,
}

impl Message<'_> {
    /// The message with its final dot. No line of it begins with another dot, so none is stuffed.
    pub(super) fn text(&self, now: Timestamp, id: u128) -> String {
        let Self { from, reply_to, to, site_name } = self;
        let date = now.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let name = words(site_name);
        let reply_to =
            if reply_to.is_empty() { String::new() } else { format!("Reply-To: <{reply_to}>\r\n") };
        let body = format!(
            "This is a test message from {site_name}.\r\n\r\nMail from this site is sent, and has arrived here.\r\n"
        );
        let mut text = format!(
            "From: {name} <{from}>\r\n{reply_to}To: <{to}>\r\nSubject: {}\r\nDate: {date}\r\n\
             Message-ID: <{id:032x}@{domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            words(&format!("Test message from {site_name}")),
        );
        let encoded = BASE64.encode(body);
        for start in (0..encoded.len()).step_by(LINE) {
            let line = &encoded[start..encoded.len().min(start + LINE)];
            // Writing to a string does not fail.
            let _ = write!(text, "{line}\r\n");
        }
        text.push_str(".\r\n");
        text
    }
}

/// Text for a header: as it is, if nothing in it could be read as syntax, otherwise in encoded words.
fn words(text: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b == b' ' || b == b'-';
    if !text.is_empty() && text.len() <= LINE && text.bytes().all(harmless) {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    // Encoded line ends add no header, but some readers refuse them.
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let last = words.last().map_or(0, String::len);
        if last + c.len_utf8() > WORD {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let words: Vec<_> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", BASE64.encode(word))).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_site_name_adds_no_header_and_no_end() {
        let site_name = "Chat\r\nBcc: all@x.test\r\n\r\n.\r\n\"<ü>\" ".repeat(5);
        let message = Message { from: "a@x.test", reply_to: "", to: "b@y.test", site_name: &site_name };
        let text = message.text(Timestamp::UNIX_EPOCH, 7);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> =
            head.lines().filter(|line| !line.starts_with(' ')).filter_map(|l| l.split_once(": ")).collect();
        assert_eq!(names.len(), 9, "{head}");
        assert!(!head.contains("Bcc"), "{head}");
        assert_eq!(body.matches("\r\n.").count(), 1);
        assert!(text.lines().all(|line| line.len() <= 90), "{text}");
        assert!(head.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000"), "{head}");
    }
}
