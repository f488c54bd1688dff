//! Mail and push notifications.

use super::{Area, LATER};
use crate::kind::Kind;
use crate::row::{Form, Row, at, row};

pub(super) const AREA: Area = Area { title: "Mail and push notifications", rows: ROWS };

const ROWS: &[Row] = &[
    row("SMTP_HOST", Kind::Host, "The mail server")
        .places(&[at("EmailSettings", "SMTPServer")])
        .now("localhost; the built-in server sends no mail without it"),
    row("SMTP_PORT", Kind::Port, "The mail server's port")
        .places(&[at("EmailSettings", "SMTPPort")])
        .then("25")
        .now("10025"),
    row("SMTP_USER", Kind::Line, "The user at the mail server; given, it is also signed in with")
        .places(&[at("EmailSettings", "SMTPUsername")])
        .now("none"),
    row("SMTP_PASS", Kind::Anything, "That user's password")
        .places(&[at("EmailSettings", "SMTPPassword")])
        .now("none")
        .secret(),
    row("SMTP_SECURITY", Kind::Word(&["", "TLS", "STARTTLS"]), "How the way to the mail server is encrypted")
        .places(&[at("EmailSettings", "ConnectionSecurity")])
        .synonyms(&[("PLAIN", ""), ("NONE", "")])
        .now("not at all"),
    row("SMTP_DOMAIN", Kind::Text, "In a sample of docker-mattermost's README, and read by no release of it")
        .change(2, 0, "the mail server is greeted by the site's own name; leave it out")
        .now("none"),
    row("MATTERMOST_EMAIL", Kind::Email, "The address that mails come from and are answered to")
        .places(&[at("EmailSettings", "FeedbackEmail")])
        .then("example@example.com")
        .now("SMTP_USER where that is an address"),
    row("MATTERMOST_EMAIL_NOTIFICATIONS", Kind::Bool, "Send notifications by mail")
        .places(&[at("EmailSettings", "SendEmailNotifications")])
        .then("false")
        .now("true if SMTP_HOST is given"),
    row(
        "MATTERMOST_EMAIL_VERIFICATION",
        Kind::Bool,
        "Ask for a verified mail address before the first sign-in",
    )
    .places(&[at("EmailSettings", "RequireEmailVerification")])
    .then("false")
    .now("true if SMTP_HOST is given"),
    row("MATTERMOST_ENABLE_EMAIL_BATCHING", Kind::Bool, "Gather notifications into fewer mails")
        .places(&[at("EmailSettings", "EnableEmailBatching").since(3, 4)])
        .then("false")
        .now("true if mails are sent and the site URL is given")
        .source(LATER),
    row("MATTERMOST_RESET_SALT", Kind::Anything, "Signs the mails by which passwords are reset")
        .places(&[at("EmailSettings", "PasswordResetSalt").until(3, 9)])
        .change(3, 9, "such mails carry tokens that work once; leave it out")
        .now("none")
        .secret(),
    row("MATTERMOST_INVITE_SALT", Kind::Anything, "Signs invitations by mail")
        .places(&[at("EmailSettings", "InviteSalt").until(5, 10)])
        .change(5, 10, "invitations carry tokens that work once; leave it out")
        .now("none")
        .secret(),
    row("MATTERMOST_PUSH_SERVER", Kind::Url, "The push proxy that mobile notifications go through")
        .places(&[at("EmailSettings", "PushNotificationServer")])
        .now("https://push-test.mattermost.com"),
    row("MATTERMOST_ENABLE_PUSH_NOTIFICATIONS", Kind::Bool, "Send push notifications")
        .places(&[at("EmailSettings", "SendPushNotifications")])
        .then("false")
        .now("true if MATTERMOST_PUSH_SERVER is given"),
    row("MATTERMOST_PUSH_FULL_MESSAGE", Kind::Bool, "Put the whole message into push notifications")
        .places(&[at("EmailSettings", "PushNotificationContents").form(Form::Either("full", "generic"))])
        .then("false")
        .now("true")
        .source(LATER),
];
