//! Why a message was not accepted, in an operator's words.

use std::time::Duration;

use finding::{Finding, Unreached};
use mail::Security;

use super::dialogue::{Dialogue, Line, Reply, Speaker};
use crate::reach::Place;

/// A test message was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.finding())]
pub struct MailFailure {
    /// Why.
    pub reason: Box<Reason>,
    /// The dialogue up to the failure.
    pub dialogue: Dialogue,
    pub(super) place: Place,
    pub(super) security: Security,
    pub(super) from: String,
    pub(super) to: String,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This is not a mail address.
    Address(String),
    /// The server accepts only ASCII addresses.
    AddressNotAscii,
    /// There is no connection, or it failed.
    Unreached(Unreached),
    /// Connected without TLS, and the server sent nothing.
    Silent(Duration),
    /// Connected without TLS, and the server sent TLS.
    TlsPort,
    /// The server refused the connection in its greeting, or refused EHLO.
    Greeting(Reply),
    /// STARTTLS is configured, and the server does not offer it.
    StartTlsNotOffered,
    /// The server offers STARTTLS, and refused it.
    StartTlsRefused(Reply),
    /// A user is configured, and the connection would not be encrypted.
    PasswordNeedsTls {
        /// The server offers STARTTLS.
        starttls: bool,
    },
    /// A user is configured, and the server offers no login.
    AuthNotOffered,
    /// The server offers neither PLAIN nor LOGIN, but these.
    NoKnownMechanism(String),
    /// The user name or the password is wrong (535).
    WrongPassword(Reply),
    /// The login failed for another reason.
    Login(Reply),
    /// The server requires a login first (530).
    AuthRequired(Reply),
    /// The server requires TLS first (530).
    TlsRequired(Reply),
    /// The server does not relay mail for this machine.
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

/// What a refusal means wherever it comes in the dialogue; the reply itself, if its meaning depends on where.
fn common(reply: Reply) -> Result<Reason, Reply> {
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
        common(reply).unwrap_or_else(Reason::Sender)
    }

    pub(super) fn recipient(reply: Reply) -> Self {
        common(reply).unwrap_or_else(Reason::Recipient)
    }

    pub(super) fn content(reply: Reply) -> Self {
        common(reply).unwrap_or_else(Reason::Content)
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
    /// The line that failed: the server's last reply, or the last event.
    pub fn failing_line(&self) -> Option<&Line> {
        self.dialogue.lines.last()
    }

    /// The client's line that the failing one answers, if it answers one.
    pub fn answered_line(&self) -> Option<&Line> {
        let failing = self.failing_line().filter(|line| line.by == Speaker::Server)?;
        self.dialogue.lines.iter().rev().find(|line| line.by == Speaker::Client && *line != failing)
    }

    /// What was seen, why, and what to do.
    pub fn finding(&self) -> Finding {
        let place = &self.place;
        let (from, to) = (self.from.escape_debug(), self.to.escape_debug());
        let said = |reply: &Reply| format!("{place} said: {reply}");
        match self.reason.as_ref() {
            Reason::Address(address) => Finding::error(
                format!("\"{}\" is not a mail address", address.escape_debug()),
                "it must be name@domain, without spaces, brackets or line ends",
                "correct it; nothing was sent",
            ),
            Reason::AddressNotAscii => Finding::error(
                format!("{place} accepts only ASCII addresses"),
                "it does not offer SMTPUTF8, and an address has other characters",
                "use addresses in ASCII, with the domain in its xn-- form",
            ),
            Reason::Unreached(unreached) => self.unreached(unreached),
            Reason::Silent(allowed) => Finding::error(
                format!("{place} accepted the connection, but sent nothing within {allowed:.1?}"),
                if place.port == 465 {
                    "port 465 expects TLS from the first byte"
                } else {
                    "it expects TLS from the first byte, or does not greet unknown machines"
                },
                "set SMTP_SECURITY=TLS; or use the port for STARTTLS (587) or for plain connections (25)",
            ),
            Reason::TlsPort => Finding::error(
                format!("{place} expects TLS from the first byte"),
                "the connection was opened without TLS",
                "set SMTP_SECURITY=TLS, or use the port for STARTTLS (587)",
            ),
            Reason::Greeting(reply) => Finding::error(
                said(reply),
                "it does not accept this machine, or not the name in EHLO (the site URL's host)",
                "allow this machine on the mail server; use a site URL whose host is a full domain name",
            ),
            Reason::StartTlsNotOffered => Finding::error(
                format!("{place} does not offer STARTTLS"),
                "this port is for plain connections, or a firewall removes the offer",
                "use the submission port (587), or SMTP_SECURITY=TLS with port 465; send without encryption only inside a trusted network",
            ),
            Reason::StartTlsRefused(reply) => Finding::error(
                said(reply),
                "it offers STARTTLS but cannot do it: its certificate or key is missing",
                "read the mail server's log",
            ),
            Reason::PasswordNeedsTls { starttls } => Finding::error(
                format!("the password was not sent to {place}: the connection is not encrypted"),
                "a user is set and encryption is not; Mattermost does not send a password unencrypted either",
                if *starttls {
                    "set SMTP_SECURITY=STARTTLS, which the server offers"
                } else {
                    "set SMTP_SECURITY=TLS (port 465) or STARTTLS (port 587); or remove SMTP_USER, if this machine may send without a login"
                },
            ),
            Reason::AuthNotOffered => Finding::error(
                format!("{place} offers no login (AUTH)"),
                match self.security {
                    Security::None => "it offers it only over TLS, or not at all",
                    _ => "this port is for mail between servers",
                },
                "use the submission port (587 or 465); or remove SMTP_USER, if this machine may send without a login",
            ),
            Reason::NoKnownMechanism(offered) => Finding::error(
                format!("{place} offers only the logins {offered}"),
                "Mattermost supports PLAIN and LOGIN",
                "enable PLAIN or LOGIN there; providers that require OAuth have app passwords or a relay for programs",
            ),
            Reason::WrongPassword(reply) => Finding::error(
                said(reply),
                "the user name or the password is wrong, or the provider requires an app password",
                "check SMTP_USER and SMTP_PASS; with two-factor sign-in at the provider, create an app password",
            ),
            Reason::Login(reply) => Finding::error(
                said(reply),
                "it did not accept the login",
                "check that this user may send mail by a program (SMTP AUTH), and read the mail server's log",
            ),
            Reason::AuthRequired(reply) => Finding::error(
                said(reply),
                "it requires a login before it accepts mail",
                "set SMTP_USER and SMTP_PASS (and EmailSettings.EnableSMTPAuth=true)",
            ),
            Reason::TlsRequired(reply) => Finding::error(
                said(reply),
                "it accepts nothing over an unencrypted connection",
                "set SMTP_SECURITY=STARTTLS, or TLS on port 465",
            ),
            Reason::Relay(reply) => Finding::error(
                said(reply),
                format!(
                    "without a login it accepts mail only for its own domains, and {to} is in another one"
                ),
                "set SMTP_USER and SMTP_PASS, or allow this machine to relay (mynetworks in Postfix)",
            ),
            Reason::Sender(reply) => Finding::error(
                said(reply),
                format!("this user or machine may not send as {from}"),
                "set MATTERMOST_EMAIL to an address that belongs to the user",
            ),
            Reason::Recipient(reply) => Finding::error(
                said(reply),
                format!("{to} does not exist there, or the server accepts no mail for it from this machine"),
                "check the address; if it is correct, read the mail server's log",
            ),
            Reason::TooLarge(reply) => Finding::error(
                said(reply),
                "the recipient's mailbox is full, or the server's size limit is very small",
                "try another recipient; raise the limit on the mail server",
            ),
            Reason::Content(reply) => Finding::error(
                said(reply),
                "its spam or policy rules refused the message: often the sender's domain has no SPF or DKIM entry for this server",
                format!(
                    "look up the code in the provider's documentation; check SPF and DKIM of the domain of {from}"
                ),
            ),
            Reason::Later(reply) => Finding::error(
                said(reply),
                "it refuses for the moment: greylisting, too many connections, or an internal problem",
                "try again in a few minutes; if it fails again, read the mail server's log",
            ),
        }
    }

    fn unreached(&self, unreached: &Unreached) -> Finding {
        let finding = self.place.finding(unreached, "the mail server");
        match (unreached, self.security) {
            (Unreached::NotTls, Security::Tls) => finding
                .because("the port is for plain connections or STARTTLS")
                .fixed_by("set SMTP_SECURITY=STARTTLS (usual on port 587), or use the port for TLS (465)"),
            (Unreached::TimedOut(_), _) if self.place.port == 25 => finding
                .because(
                    "most hosting providers block outgoing connections to port 25; or the machine is down",
                )
                .fixed_by("use the submission port (587 with STARTTLS, or 465 with TLS)"),
            (Unreached::Certificate(_), _) => {
                let fix = format!(
                    "{}; use EmailSettings.SkipServerCertificateVerification only inside a trusted network",
                    finding.fix
                );
                finding.fixed_by(fix)
            }
            _ => finding,
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
    fn a_refusal_is_classified_by_its_code_its_words_and_its_place_in_the_dialogue() {
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
