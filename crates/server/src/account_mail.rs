//! The mails about accounts: to verify an address, to choose a password, to join a team, and the notices of changes. None is sent
//! where the configuration names no mail server.

use std::fmt::Display;

use serde_json::json;

use crate::app::App;
use crate::bounds::NOTICES_WAITING;
use crate::error::Result;
use crate::id::Id;
use crate::mail::{Draft, Lane, Mailer, Notice, Words, fill};
use crate::model::{Channel, Post, Team, User};
use crate::store::Purpose;

/// A part of an address's query.
fn query(values: &[(&str, &dyn Display)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in values {
        query.append_pair(name, &value.to_string());
    }
    query.finish()
}

/// A mail to an account: a greeting, a paragraph, and where it leads.
struct Notification<'a> {
    kind: &'static str,
    subject: &'static str,
    text: &'static str,
    button: Option<(&'static str, String)>,
    values: &'a [(&'a str, &'a str)],
}

impl Mailer {
    fn to_account(&self, user: &User, address: &str, words: &Words, sent: &Notification<'_>) {
        let mut values = vec![("site", self.site_name()), ("name", user.username.as_str())];
        values.extend_from_slice(sent.values);
        let draft = Draft {
            subject: fill(sent.subject, &values),
            lines: vec![fill(words.hello, &values), fill(sent.text, &values)],
            button: sent.button.clone().map(|(label, url)| (fill(label, &values), url)),
            ..Draft::default()
        };
        self.post(Lane::Urgent, sent.kind, address, words, &draft);
    }
}

impl App {
    /// Lets those whom a post concerns be told by mail; returns at once.
    pub(crate) fn note_for_mail(
        &self,
        channel: &Channel,
        post: &Post,
        sender: &User,
        mentions: Vec<Id>,
        followers: Vec<Id>,
    ) {
        let sends = self.mail.is_some() && self.config.email.send_email_notifications;
        if !sends || (mentions.is_empty() && followers.is_empty()) {
            return;
        }
        let notice = Notice {
            // A post's props may be large, and no mail shows them.
            post: Post { props: Default::default(), ..post.clone() },
            channel: channel.clone(),
            sender: sender.clone(),
            mentions,
            followers,
        };
        if self.notices.try_send(notice).is_err() {
            tracing::error!(post = %post.id, "nobody is told of a post by mail: {NOTICES_WAITING} others wait");
        }
    }

    /// Whether an address must be verified before its account signs in, and can be: there is a way to send the mail.
    pub(crate) fn verifies_addresses(&self) -> bool {
        self.config.email.require_email_verification && self.mail.is_some()
    }

    /// Sends the link that verifies `address`, which then becomes the account's.
    pub(crate) async fn mail_verification(&self, user: &User, address: &str) -> Result<()> {
        let Some(mail) = &self.mail else { return Ok(()) };
        let token = self.store.save_account_token(Purpose::VerifyAddress, user.id, address).await?;
        let words = mail.words(&user.locale);
        let path = format!("/do_verify_email?{}", query(&[("token", &token), ("email", &address)]));
        let sent = Notification {
            kind: "verification",
            subject: words.verify_subject,
            text: words.verify_text,
            button: Some((words.verify_button, mail.link(&path))),
            values: &[("address", address)],
        };
        mail.to_account(user, address, words, &sent);
        Ok(())
    }

    /// Welcomes a new account; one that must verify its address gets the link for that.
    pub(crate) async fn mail_welcome(&self, user: &User) -> Result<()> {
        let Some(mail) = &self.mail else { return Ok(()) };
        if self.verifies_addresses() && !user.email_verified {
            return self.mail_verification(user, &user.email).await;
        }
        if self.config.email.send_email_notifications {
            let words = mail.words(&user.locale);
            let sent = Notification {
                kind: "welcome",
                subject: words.welcome_subject,
                text: words.welcome_text,
                button: Some((words.open_button, mail.link("/"))),
                values: &[],
            };
            mail.to_account(user, &user.email, words, &sent);
        }
        Ok(())
    }

    /// Sends the link with which somebody chooses a new password.
    pub(crate) async fn mail_reset(&self, user: &User) -> Result<()> {
        let Some(mail) = &self.mail else { return Ok(()) };
        let token = self.store.save_account_token(Purpose::ResetPassword, user.id, &user.email).await?;
        let words = mail.words(&user.locale);
        let sent = Notification {
            kind: "password reset",
            subject: words.reset_subject,
            text: words.reset_text,
            button: Some((words.reset_button, mail.link(&format!("/reset_password_complete?token={token}")))),
            values: &[],
        };
        mail.to_account(user, &user.email, words, &sent);
        Ok(())
    }

    /// Tells an account's owner that its password was changed.
    pub(crate) fn mail_password_changed(&self, user: &User) {
        let Some(mail) = &self.mail else { return };
        let words = mail.words(&user.locale);
        let (subject, text) = (words.password_subject, words.password_text);
        let sent = Notification { kind: "password changed", subject, text, button: None, values: &[] };
        mail.to_account(user, &user.email, words, &sent);
    }

    /// Tells an account's owner, at the old address, that the account has another address.
    pub(crate) fn mail_address_changed(&self, before: &User, address: &str) {
        let Some(mail) = &self.mail else { return };
        let words = mail.words(&before.locale);
        let (subject, text) = (words.address_subject, words.address_text);
        let values = [("address", address)];
        let sent = Notification { kind: "address changed", subject, text, button: None, values: &values };
        mail.to_account(before, &before.email, words, &sent);
    }

    /// Tells somebody that they have deactivated their account.
    pub(crate) fn mail_deactivated(&self, user: &User) {
        let Some(mail) = self.mail.as_ref().filter(|_| self.config.email.send_email_notifications) else {
            return;
        };
        let words = mail.words(&user.locale);
        let (subject, text) = (words.deactivated_subject, words.deactivated_text);
        let sent = Notification { kind: "deactivated", subject, text, button: None, values: &[] };
        mail.to_account(user, &user.email, words, &sent);
    }

    /// Invites whoever has `address` to a team, in the site's language.
    pub(crate) async fn mail_invitation(&self, team: &Team, sender: &str, address: &str) -> Result<()> {
        let Some(mail) = &self.mail else { return Ok(()) };
        let token = self.store.save_invitation(team.id, address.to_owned()).await?;
        let words = mail.words("");
        let said = json!({"email": address, "display_name": team.display_name, "name": team.name});
        let path = format!("/signup_user_complete/?{}", query(&[("d", &said), ("t", &token)]));
        let values = [("site", mail.site_name()), ("sender", sender), ("team", team.display_name.as_str())];
        let draft = Draft {
            subject: fill(words.invite_subject, &values),
            lines: vec![fill(words.invite_text, &values)],
            button: Some((fill(words.invite_button, &values), mail.link(&path))),
            ..Draft::default()
        };
        mail.post(Lane::Urgent, "invitation", address, words, &draft);
        Ok(())
    }
}
