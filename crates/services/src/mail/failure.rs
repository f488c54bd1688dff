//! Every way in which a message is not taken, in an operator's words.

use std::time::Duration;

use super::{Dialogue, Line, Reply, Security, Speaker};
use crate::check::Explanation;
use crate::reach::{Place, Unreached};

/// A test message was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.explanation())]
pub struct MailFailure {
    /// Why.
    pub reason: Box<Reason>,
    /// What was said up to then.
    pub dialogue: Dialogue,
    pub(super) place: Place,
    pub(super) security: Security,
    pub(super) from: String,
    pub(super) to: String,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This is no mail address.
    Address(String),
    /// The server takes ASCII addresses only.
    AddressNotAscii,
    /// There is no connection, or it broke.
    Unreached(Unreached),
    /// Connected without TLS, and nothing came.
    Silent(Duration),
    /// Connected without TLS, and TLS came.
    TlsPort,
    /// The greeting, or ours, was refused.
    Greeting(Reply),
    /// STARTTLS is configured, and the server does not have it.
    StartTlsNotOffered,
    /// The server has STARTTLS, and not now.
    StartTlsRefused(Reply),
    /// A user is configured, and the connection would not be encrypted.
    PasswordNeedsTls {
        /// The server offers STARTTLS.
        starttls: bool,
    },
    /// A user is configured, and the server has no login.
    AuthNotOffered,
    /// The server has neither PLAIN nor LOGIN, but these.
    NoKnownMechanism(String),
    /// The user name or the password is wrong (535).
    WrongPassword(Reply),
    /// The login failed for another reason.
    Login(Reply),
    /// The server wants a login first (530).
    AuthRequired(Reply),
    /// The server wants TLS first (530).
    TlsRequired(Reply),
    /// The server does not pass mail on for us.
    Relay(Reply),
    /// The sender's address was refused.
    Sender(Reply),
    /// The recipient's address was refused.
    Recipient(Reply),
    /// The message is too large, or the mailbox is full (552).
    TooLarge(Reply),
    /// The message itself was refused (554).
    Content(Reply),
    /// Refused for the moment (4xx).
    Later(Reply),
}

impl From<Unreached> for Reason {
    fn from(unreached: Unreached) -> Self {
        Reason::Unreached(unreached)
    }
}

/// What a refusal means at any point of the dialogue; the reply itself, if it depends on the point.
fn anywhere(reply: Reply) -> Result<Reason, Reply> {
    let words = reply.text.join(" ").to_ascii_lowercase();
    match reply.code {
        400..500 => Ok(Reason::Later(reply)),
        530 if words.contains("starttls") || words.contains("tls") => Ok(Reason::TlsRequired(reply)),
        530 => Ok(Reason::AuthRequired(reply)),
        // Some servers say 550 or 554 where the standard has 530.
        500.. if words.contains("authentication required") || words.contains("not authenticated") => {
            Ok(Reason::AuthRequired(reply))
        }
        500.. if words.contains("relay") => Ok(Reason::Relay(reply)),
        552 => Ok(Reason::TooLarge(reply)),
        _ => Err(reply),
    }
}

impl Reason {
    pub(super) fn sender(reply: Reply) -> Self {
        anywhere(reply).unwrap_or_else(Reason::Sender)
    }

    pub(super) fn recipient(reply: Reply) -> Self {
        anywhere(reply).unwrap_or_else(Reason::Recipient)
    }

    pub(super) fn content(reply: Reply) -> Self {
        anywhere(reply).unwrap_or_else(Reason::Content)
    }

    pub(super) fn login(reply: Reply) -> Self {
        match reply.code {
            535 => Reason::WrongPassword(reply),
            538 => Reason::TlsRequired(reply),
            400..500 => Reason::Later(reply),
            _ => Reason::Login(reply),
        }
    }
}

impl MailFailure {
    /// The line that failed: the server's last words, or what happened last.
    pub fn failing_line(&self) -> Option<&Line> {
        self.dialogue.lines.last()
    }

    /// Our line that was answered with the failing one, if it was an answer.
    pub fn answered_line(&self) -> Option<&Line> {
        let failing = self.failing_line().filter(|line| line.by == Speaker::Server)?;
        self.dialogue.lines.iter().rev().find(|line| line.by == Speaker::Client && *line != failing)
    }

    /// What, why, and what to do.
    pub fn explanation(&self) -> Explanation {
        let place = &self.place;
        let (from, to) = (self.from.escape_debug(), self.to.escape_debug());
        let said = |reply: &Reply| format!("{place} said: {reply}");
        let new = |what: String, cause: String, fix: String| Explanation { what, cause, fix };
        match &self.reason.as_ref() {
            Reason::Address(address) => new(
                format!("\"{}\" is no mail address", address.escape_debug()),
                "it must be name@domain, without spaces, brackets or line ends".into(),
                "correct it; nothing was sent".into(),
            ),
            Reason::AddressNotAscii => new(
                format!("{place} takes ASCII addresses only"),
                "it does not offer SMTPUTF8, and an address has other characters".into(),
                "use addresses in ASCII, with the domain in its xn-- form".into(),
            ),
            Reason::Unreached(unreached) => self.unreached(unreached),
            Reason::Silent(allowed) => new(
                format!("{place} was reached, and said nothing within {allowed:.1?}"),
                if place.port == 465 {
                    "port 465 expects TLS from the first byte".into()
                } else {
                    "it expects TLS from the first byte, or holds back its greeting from unknown machines".into()
                },
                "set SMTP_SECURITY=TLS; or use the port for STARTTLS (587) or for plain connections (25)".into(),
            ),
            Reason::TlsPort => new(
                format!("{place} expects TLS from the first byte"),
                "the connection was begun without".into(),
                "set SMTP_SECURITY=TLS, or use the port for STARTTLS (587)".into(),
            ),
            Reason::Greeting(reply) => new(
                said(reply),
                "it does not serve this machine, or not under the name we greet with (the site URL's host)".into(),
                "allow this machine on the mail server; use a site URL whose host is a full domain name".into(),
            ),
            Reason::StartTlsNotOffered => new(
                format!("{place} does not offer STARTTLS"),
                "this port is for plain connections, or a firewall strips the offer".into(),
                "use the submission port (587), or SMTP_SECURITY=TLS with port 465; without encryption only inside a trusted network".into(),
            ),
            Reason::StartTlsRefused(reply) => new(
                said(reply),
                "it offers STARTTLS and cannot do it: its certificate or key is missing".into(),
                "see the mail server's log".into(),
            ),
            Reason::PasswordNeedsTls { starttls } => new(
                format!("the password was not sent to {place}: the connection is not encrypted"),
                "a user is set and encryption is not; Mattermost too sends no password in the clear".into(),
                if *starttls {
                    "set SMTP_SECURITY=STARTTLS, which the server offers".into()
                } else {
                    "set SMTP_SECURITY=TLS (port 465) or STARTTLS (port 587); or remove SMTP_USER, if the server lets this machine send without".into()
                },
            ),
            Reason::AuthNotOffered => new(
                format!("{place} offers no login (AUTH)"),
                match self.security {
                    Security::None => "it offers it only over TLS, or not at all".into(),
                    _ => "this port is for mail between servers".into(),
                },
                "use the submission port (587 or 465); or remove SMTP_USER, if the server lets this machine send without".into(),
            ),
            Reason::NoKnownMechanism(offered) => new(
                format!("{place} offers only the logins {offered}"),
                "Mattermost knows PLAIN and LOGIN".into(),
                "switch PLAIN or LOGIN on there; providers that want OAuth have app passwords or a relay for programs".into(),
            ),
            Reason::WrongPassword(reply) => new(
                said(reply),
                "the user name or the password is wrong, or the provider wants an app password".into(),
                "check SMTP_USER and SMTP_PASS; with two-factor sign-in at the provider, make an app password".into(),
            ),
            Reason::Login(reply) => new(
                said(reply),
                "it did not accept the login".into(),
                "check that this user may send mail by a program (SMTP AUTH), and the mail server's log".into(),
            ),
            Reason::AuthRequired(reply) => new(
                said(reply),
                "it wants a login before it takes mail".into(),
                "set SMTP_USER and SMTP_PASS (and EmailSettings.EnableSMTPAuth=true)".into(),
            ),
            Reason::TlsRequired(reply) => new(
                said(reply),
                "it takes nothing over an unencrypted connection".into(),
                "set SMTP_SECURITY=STARTTLS, or TLS on port 465".into(),
            ),
            Reason::Relay(reply) => new(
                said(reply),
                format!("it takes mail for its own domains only, unless somebody logs in; {to} is elsewhere"),
                "set SMTP_USER and SMTP_PASS, or allow this machine to relay (mynetworks in Postfix)".into(),
            ),
            Reason::Sender(reply) => new(
                said(reply),
                format!("this user or machine may not send as {from}"),
                "set MATTERMOST_EMAIL to an address that belongs to the user".into(),
            ),
            Reason::Recipient(reply) => new(
                said(reply),
                format!("{to} does not exist there, or the server takes no mail for it from this machine"),
                "check the address; if it is right, ask the mail server's log".into(),
            ),
            Reason::TooLarge(reply) => new(
                said(reply),
                "the recipient's mailbox is full, or the server's size limit is very small".into(),
                "try another recipient; raise the limit on the mail server".into(),
            ),
            Reason::Content(reply) => new(
                said(reply),
                "its spam or policy rules refused the message: often the sender's domain has no SPF or DKIM entry for this server".into(),
                format!("look up the code in the provider's pages; check SPF and DKIM of the domain of {from}"),
            ),
            Reason::Later(reply) => new(
                said(reply),
                "it refuses for the moment: greylisting, too many connections, or trouble of its own".into(),
                "try again in some minutes; if it stays so, see the mail server's log".into(),
            ),
        }
    }

    fn unreached(&self, unreached: &Unreached) -> Explanation {
        let plain = unreached.explanation(&self.place, "the mail server");
        match (unreached, self.security) {
            (Unreached::NotTls, Security::Tls) => Explanation {
                cause: "the port is one for plain connections or STARTTLS".into(),
                fix: "set SMTP_SECURITY=STARTTLS (usual on port 587), or use the TLS port (465)".into(),
                ..plain
            },
            (Unreached::TimedOut(_), _) if self.place.port == 25 => Explanation {
                cause: "most hosting providers block outgoing connections to port 25; or the machine is down"
                    .into(),
                fix: "use the submission port (587 with STARTTLS, or 465 with TLS)".into(),
                ..plain
            },
            (Unreached::Certificate(_), _) => Explanation {
                fix: format!(
                    "{}; EmailSettings.SkipServerCertificateVerification only inside a trusted network",
                    plain.fix
                ),
                ..plain
            },
            _ => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, text: &str) -> Reply {
        Reply { code, text: vec![text.into()] }
    }

    #[test]
    fn a_refusal_is_understood_by_code_words_and_place() {
        let denied = |reply: &Reply| Reason::recipient(reply.clone());
        let cases = [
            (refusal(550, "5.7.1 Relaying denied"), "relay"),
            (refusal(554, "5.7.1 <x@y>: Relay access denied"), "relay"),
            (refusal(550, "5.1.1 no such user"), "recipient"),
            (refusal(530, "5.7.0 Authentication required"), "login"),
            (refusal(530, "Must issue a STARTTLS command first"), "tls"),
            (refusal(550, "5.7.60 client not authenticated to send"), "login"),
            (refusal(450, "greylisted"), "later"),
            (refusal(552, "quota exceeded"), "large"),
        ];
        for (reply, kind) in cases {
            let found = match denied(&reply) {
                Reason::Relay(_) => "relay",
                Reason::Recipient(_) => "recipient",
                Reason::AuthRequired(_) => "login",
                Reason::TlsRequired(_) => "tls",
                Reason::Later(_) => "later",
                Reason::TooLarge(_) => "large",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, kind, "{reply}");
        }
        assert!(matches!(Reason::sender(refusal(553, "not owned by user")), Reason::Sender(_)));
        assert!(matches!(Reason::content(refusal(554, "spam")), Reason::Content(_)));
    }
}
