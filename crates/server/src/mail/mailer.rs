//! The mail server of the configuration, and what every mail says of the site.

use std::time::Duration;

use ::mail::{MailError, MailServer, Security, Trust, send};
use url::Url;

use super::letter::{Draft, Frame};
use super::limit::Limits;
use super::outbox::{Delivery, Lane, Outbox};
use super::words::Words;
use crate::config::Config;

/// The time limit of a dialogue beyond that of connecting: a mail server may look into a mail before it takes it.
const DIALOGUE: Duration = Duration::from_secs(60);

/// Sends mails.
pub(crate) struct Mailer {
    server: MailServer,
    site_name: String,
    /// Without a slash at its end.
    site_url: String,
    organization: String,
    support: String,
    locale: String,
    outbox: Outbox,
    pub(crate) limits: Limits,
}

impl Mailer {
    /// A mailer, and the delivery that must be run; `None` if the configuration names no mail server, or lacks what a mail needs.
    pub(crate) fn new(config: &Config) -> Option<(Mailer, Delivery)> {
        let email = &config.email;
        if email.smtp_server.is_empty() {
            return None;
        }
        let site_url = config.service.site_url.trim_end_matches('/').to_owned();
        let needs = [
            ("ServiceSettings.SiteURL", !site_url.is_empty()),
            ("EmailSettings.SMTPPort", email.smtp_port.parse::<u16>().is_ok_and(|port| port > 0)),
        ];
        if let Some((key, _)) = needs.iter().find(|(_, is_there)| !is_there) {
            tracing::error!("no mails are sent: {key} is missing or wrong");
            return None;
        }
        let greeting = Url::parse(&site_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let greeting = greeting.unwrap_or_default();
        let connecting = Duration::from_secs(email.smtp_server_timeout.unsigned_abs());
        let server = MailServer {
            host: email.smtp_server.clone(),
            port: email.smtp_port.parse().unwrap_or(25),
            security: Security::named(&email.connection_security),
            username: if email.enable_smtp_auth { email.smtp_username.clone() } else { String::new() },
            password: email.smtp_password.clone().into(),
            trust: if email.skip_server_certificate_verification { Trust::Anything } else { Trust::System },
            greeting: greeting.clone(),
            from_name: if email.feedback_name.is_empty() {
                &config.team.site_name
            } else {
                &email.feedback_name
            }
            .clone(),
            from: sender(&email.feedback_email, &greeting),
            reply_to: email.reply_to_address.clone(),
            timeout: connecting.saturating_add(DIALOGUE),
        };
        let (outbox, delivery) = Outbox::new(server.clone());
        let mailer = Mailer {
            server,
            site_name: config.team.site_name.clone(),
            site_url,
            organization: email.feedback_organization.clone(),
            support: config.support.support_email.clone(),
            locale: config.localization.default_server_locale.clone(),
            outbox,
            limits: Limits::default(),
        };
        Some((mailer, delivery))
    }

    pub(crate) fn site_name(&self) -> &str {
        &self.site_name
    }

    /// The address of a page of this site; `path` begins with a slash.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.site_url)
    }

    /// The words for somebody with that locale: in the language of the site if there are none in theirs.
    pub(crate) fn words(&self, locale: &str) -> &'static Words {
        Words::of(locale).or_else(|| Words::of(&self.locale)).unwrap_or(&Words::ENGLISH)
    }

    /// Sends a mail in the background.
    pub(crate) fn post(&self, lane: Lane, kind: &'static str, to: &str, words: &Words, draft: &Draft) {
        self.outbox.put(lane, kind, draft.message(to, &self.frame(words)));
    }

    /// Sends a mail now, and says whether the mail server took it.
    pub(crate) async fn send_now(&self, to: &str, words: &Words, draft: &Draft) -> Result<(), MailError> {
        send(&self.server, &draft.message(to, &self.frame(words))).await
    }

    fn frame<'a>(&'a self, words: &'a Words) -> Frame<'a> {
        Frame {
            words,
            site_name: &self.site_name,
            site_url: &self.site_url,
            organization: &self.organization,
            support: &self.support,
        }
    }
}

/// The sender's address: the one of the configuration, or one in the site's own domain.
fn sender(configured: &str, host: &str) -> String {
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let is_name = host.contains(|c: char| c.is_ascii_alphabetic()) && !host.starts_with('[');
    format!("noreply@{}", if is_name { host } else { "localhost" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_always_has_a_sender() {
        assert_eq!(sender("chat@x.test", "y.test"), "chat@x.test");
        assert_eq!(sender("", "chat.y.test"), "noreply@chat.y.test");
        for host in ["", "127.0.0.1", "[::ffff:a]"] {
            assert_eq!(sender("", host), "noreply@localhost");
        }
    }
}
