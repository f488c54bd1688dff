//! What a mail looks like, as text and as HTML. Everything that comes from people is escaped.

use std::fmt::Write as _;

use ::mail::Message;

use super::words::{Words, fill};

/// What a mail says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) subject: String,
    /// Paragraphs before the quotes.
    pub(crate) lines: Vec<String>,
    pub(crate) quotes: Vec<Quote>,
    /// What it says, and where it leads.
    pub(crate) button: Option<(String, String)>,
    /// Paragraphs after the button, in small letters.
    pub(crate) notes: Vec<String>,
}

/// A message of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Who wrote it, where and when.
    pub(crate) head: String,
    /// Empty: it is not shown.
    pub(crate) body: String,
    /// What its link says, and where it leads.
    pub(crate) link: Option<(String, String)>,
}

/// What every mail says of the site.
pub(super) struct Frame<'a> {
    pub(super) words: &'a Words,
    pub(super) site_name: &'a str,
    pub(super) site_url: &'a str,
    /// Empty: none.
    pub(super) organization: &'a str,
    /// Empty: none.
    pub(super) support: &'a str,
}

const BODY: &str = "margin:0;padding:24px 12px;background:#f3f4f6;color:#1f2329;\
    font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5";
const CARD: &str = "max-width:560px;margin:0 auto;padding:28px;background:#ffffff;border-radius:8px";
const QUOTE: &str =
    "margin:0 0 20px;padding:4px 0 4px 14px;border-left:3px solid #c5cad3;overflow-wrap:anywhere";
const BUTTON: &str = "display:inline-block;padding:10px 18px;border-radius:6px;background:#1c58d9;color:#ffffff;\
    text-decoration:none;font-weight:600";
const SMALL: &str = "margin:8px 0 0;color:#5b6270;font-size:13px";

/// Text for HTML, also in an attribute in quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push_str("<br>"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

fn link((label, url): &(String, String), style: &str) -> String {
    format!(r#"<a href="{}" style="{style}">{}</a>"#, escape(url), escape(label))
}

impl Draft {
    pub(super) fn message(&self, to: &str, frame: &Frame<'_>) -> Message {
        Message {
            to: to.to_owned(),
            subject: self.subject.clone(),
            text: self.text(frame),
            html: Some(self.html(frame)),
        }
    }

    /// The paragraphs at the end of every mail.
    fn footer(&self, frame: &Frame<'_>) -> Vec<String> {
        let mut footer = self.notes.clone();
        footer.push(fill(frame.words.footer, &[("site", frame.site_name), ("url", frame.site_url)]));
        if !frame.support.is_empty() {
            footer.push(fill(frame.words.help, &[("address", frame.support)]));
        }
        footer.extend(Some(frame.organization.to_owned()).filter(|text| !text.is_empty()));
        footer
    }

    fn text(&self, frame: &Frame<'_>) -> String {
        let mut parts = self.lines.clone();
        for quote in &self.quotes {
            let mut part = quote.head.clone();
            for line in quote.body.lines() {
                let _ = write!(part, "\n> {line}");
            }
            if let Some((label, url)) = &quote.link {
                let _ = write!(part, "\n{label}: {url}");
            }
            parts.push(part);
        }
        parts.extend(self.button.iter().map(|(label, url)| format!("{label}:\n{url}")));
        parts.push(format!("-- \n{}", self.footer(frame).join("\n")));
        parts.join("\n\n").chars().filter(|c| *c == '\n' || !c.is_control()).collect::<String>() + "\n"
    }

    fn html(&self, frame: &Frame<'_>) -> String {
        let mut body =
            format!(r#"<p style="margin:0 0 16px;font-weight:700">{}</p>"#, escape(frame.site_name));
        for line in &self.lines {
            let _ = write!(body, r#"<p style="margin:0 0 16px">{}</p>"#, escape(line));
        }
        for quote in &self.quotes {
            let _ = write!(body, r#"<p style="margin:0 0 6px;font-weight:600">{}</p>"#, escape(&quote.head));
            let mut inside = escape(quote.body.trim_end());
            if let Some(to) = &quote.link {
                let space = if inside.is_empty() { "" } else { "<br>" };
                let _ = write!(inside, "{space}{}", link(to, "color:#1c58d9"));
            }
            let _ = write!(body, r#"<blockquote style="{QUOTE}">{inside}</blockquote>"#);
        }
        if let Some(to) = &self.button {
            let _ = write!(body, r#"<p style="margin:20px 0">{}</p>"#, link(to, BUTTON));
            // For readers that do not follow links.
            let _ = write!(body, r#"<p style="{SMALL};overflow-wrap:anywhere">{}</p>"#, escape(&to.1));
        }
        body.push_str(r#"<hr style="margin:24px 0 8px;border:0;border-top:1px solid #dfe2e8">"#);
        for line in self.footer(frame) {
            let _ = write!(body, r#"<p style="{SMALL}">{}</p>"#, escape(&line));
        }
        format!(
            r#"<!DOCTYPE html><html lang="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{}</title></head><body style="{BODY}"><div style="{CARD}">{body}</div></body></html>"#,
            frame.words.language,
            escape(&self.subject),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame<'static> {
        Frame {
            words: &Words::ENGLISH,
            site_name: "Chat & <Co>",
            site_url: "https://x.test/chat",
            organization: "Co, 1 Street",
            support: "help@x.test",
        }
    }

    #[test]
    fn nothing_that_people_write_becomes_markup() {
        let hostile = "<script>alert(1)</script>\"'>&\n<img src=x onerror=y>\u{1b}[2J";
        let draft = Draft {
            subject: hostile.to_owned(),
            lines: vec![hostile.to_owned()],
            quotes: vec![Quote {
                head: hostile.to_owned(),
                body: hostile.to_owned(),
                link: Some((hostile.to_owned(), "https://x.test/?a=\"><script>".to_owned())),
            }],
            button: Some((hostile.to_owned(), "https://x.test/\"onclick=".to_owned())),
            notes: vec![hostile.to_owned()],
        };
        let html = draft.html(&frame());
        assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("\"onclick"), "{html}");
        assert!(html.contains("Chat &amp; &lt;Co&gt;") && !html.contains('\u{1b}'), "{html}");
        let text = draft.text(&frame());
        assert!(!text.contains('\u{1b}') && text.contains("> <script>alert(1)</script>"), "{text}");
    }

    #[test]
    fn a_text_has_all_that_the_html_has() {
        let draft = Draft {
            subject: "S".to_owned(),
            lines: vec!["Hello Ann,".to_owned()],
            quotes: vec![Quote { head: "@bob".to_owned(), body: "one\ntwo".to_owned(), link: None }],
            button: Some(("Read".to_owned(), "https://x.test/chat/a".to_owned())),
            notes: vec!["Note".to_owned()],
        };
        assert_eq!(
            draft.text(&frame()),
            "Hello Ann,\n\n@bob\n> one\n> two\n\nRead:\nhttps://x.test/chat/a\n\n-- \nNote\n\
             This mail was sent by Chat & <Co>, https://x.test/chat\nQuestions? Write to help@x.test\nCo, 1 Street\n"
        );
    }
}
