//! A real message to a real mail server, and every way in which it is refused.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use services::mail::{MailFailure, MailServer, Reason, Security, Speaker, send_test};
use services::{CertificateFlaw, Trust, Unreached};
use tempfile::TempDir;

use crate::authority::{Issued, Kind, issue};
use crate::child::Server;
use crate::scripted::{Step, closed, play};

const PASSWORD: &str = "s3cret & wörd";

/// aiosmtpd on loopback, and how to reach it.
struct Post {
    server: Server,
    issued: Issued,
    _directory: TempDir,
}

impl Post {
    fn with(tls: &str, kind: Kind, more: &Value) -> Self {
        let directory = TempDir::new().unwrap();
        let issued = issue(directory.path(), kind);
        let mut want = json!({ "tls": tls, "certificate": issued.certificate, "key": issued.key });
        for (key, value) in more.as_object().unwrap() {
            want[key] = value.clone();
        }
        let server = Server::start(&mut testbed::mail_server::command(&want));
        Self { server, issued, _directory: directory }
    }

    fn new(tls: &str, more: &Value) -> Self {
        Self::with(tls, Kind::Good, more)
    }

    fn reach(&self, security: Security) -> MailServer {
        MailServer { trust: self.issued.trust(), security, ..at(self.server.port) }
    }

    /// The same, with a login.
    fn log_in(&self, security: Security) -> MailServer {
        MailServer { username: "mm".into(), ..self.reach(security) }
    }

    fn taken(&mut self) -> Value {
        serde_json::from_str(&self.server.line()).unwrap()
    }
}

fn at(port: u16) -> MailServer {
    MailServer {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        username: String::new(),
        password: SecretString::from(PASSWORD),
        trust: Trust::System,
        greeting: "chat.example.test".into(),
        from_name: String::new(),
        from: "chat@example.test".into(),
        reply_to: "help@example.test".into(),
        timeout: Duration::from_secs(20),
    }
}

fn account() -> Value {
    json!({ "user": "mm", "password": PASSWORD })
}

async fn refused(server: &MailServer) -> MailFailure {
    let failure = send_test(server, "ann@example.test", "Chat").await.unwrap_err();
    let finding = failure.finding();
    for text in [&finding.what, &finding.cause, &finding.fix] {
        assert!(!text.is_empty() && !text.contains(PASSWORD), "{text}");
    }
    assert!(!format!("{failure} {failure:?}").contains(PASSWORD), "{failure:?}");
    failure
}

/// The text of the line that failed.
fn failing(failure: &MailFailure) -> &str {
    &failure.failing_line().unwrap().text
}

#[tokio::test]
async fn a_message_arrives_unchanged() {
    let mut post = Post::new("", &json!({}));
    let server = post.reach(Security::None);
    let dialogue = send_test(&server, "ann@example.test", "Grüße\r\nBcc: all@example.test").await.unwrap();
    let taken = post.taken();
    assert_eq!(taken["from"], "chat@example.test");
    assert_eq!(taken["to"], json!(["ann@example.test"]));
    assert_eq!(taken["greeting"], "chat.example.test");
    assert_eq!(taken["defects"], json!([]));
    assert!(taken["text"].as_str().unwrap().starts_with("This is a test message from Grüße"), "{taken}");
    let header = |name: &str| {
        let headers = taken["headers"].as_array().unwrap();
        headers.iter().find(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned())
    };
    assert_eq!(header("Reply-To").unwrap(), "help@example.test");
    assert!(header("Subject").unwrap().starts_with("Test message from Grüße"), "{taken}");
    assert_eq!(header("Bcc"), None);
    let said: Vec<_> = dialogue.lines.iter().map(ToString::to_string).collect();
    assert!(said.contains(&"C: EHLO chat.example.test".to_owned()), "{said:?}");
    assert!(said.contains(&"S: 250 OK: taken".to_owned()), "{said:?}");
}

#[tokio::test]
async fn logs_in_by_either_mechanism_over_either_kind_of_tls() {
    for (tls, security) in [("starttls", Security::StartTls), ("implicit", Security::Tls)] {
        for without in [json!([]), json!(["PLAIN"])] {
            let mut want = account();
            want["without"] = without.clone();
            let mut post = Post::new(tls, &want);
            let dialogue =
                send_test(&post.log_in(security), "ann@example.test", "Chat").await.unwrap().to_string();
            let taken = post.taken();
            assert_eq!((&taken["user"], &taken["tls"]), (&json!("mm"), &json!(true)), "{tls} {without}");
            let shown = if without == json!([]) { "AUTH PLAIN ********\n" } else { "C: AUTH LOGIN\n" };
            assert!(dialogue.contains(shown), "{dialogue}");
            assert!(!dialogue.contains(PASSWORD), "{dialogue}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_named_with_its_line() {
    let post = Post::new("starttls", &account());
    let server = MailServer { password: SecretString::from("0ther"), ..post.log_in(Security::StartTls) };
    let failure = refused(&server).await;
    assert!(matches!(*failure.reason, Reason::WrongPassword(_)), "{failure:?}");
    assert_eq!(failing(&failure), "535 5.7.8 wrong password: ********");
    assert_eq!(failure.answered_line().unwrap().text, "AUTH PLAIN ********");
    assert!(failure.finding().fix.contains("SMTP_PASS"));
}

#[tokio::test]
async fn no_password_is_sent_unencrypted() {
    for (tls, fix) in [("starttls", "SMTP_SECURITY=STARTTLS, which"), ("", "remove SMTP_USER")] {
        let post = Post::new(tls, &account());
        let failure = refused(&post.log_in(Security::None)).await;
        assert_eq!(*failure.reason, Reason::PasswordNeedsTls { starttls: tls == "starttls" });
        assert!(failure.finding().fix.contains(fix), "{failure}");
        assert!(!failure.dialogue.to_string().contains("AUTH PLAIN"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_server_without_a_login_or_with_unknown_ones_is_named() {
    let post = Post::new("starttls", &json!({ "offers": [] }));
    let failure = refused(&post.log_in(Security::StartTls)).await;
    assert_eq!(*failure.reason, Reason::AuthNotOffered);
    let post = Post::new("implicit", &json!({ "offers": ["250-AUTH CRAM-MD5 XOAUTH2"] }));
    let failure = refused(&post.log_in(Security::Tls)).await;
    assert_eq!(*failure.reason, Reason::NoKnownMechanism("CRAM-MD5 XOAUTH2".into()));
}

#[tokio::test]
async fn tls_and_plain_ports_are_told_apart() {
    let plain = Post::new("", &json!({}));
    let failure = refused(&plain.reach(Security::StartTls)).await;
    assert_eq!(*failure.reason, Reason::StartTlsNotOffered);
    let failure = refused(&plain.reach(Security::Tls)).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::NotTls));
    assert!(failure.finding().fix.contains("STARTTLS"), "{failure}");

    let encrypted = Post::new("implicit", &json!({}));
    let hasty = Duration::from_millis(700);
    let failure = refused(&MailServer { timeout: hasty, ..encrypted.reach(Security::None) }).await;
    assert_eq!(*failure.reason, Reason::Silent(hasty));
    assert!(failure.finding().fix.contains("SMTP_SECURITY=TLS"), "{failure}");
}

#[tokio::test]
async fn certificates_are_checked_unless_that_is_switched_off() {
    let cases = [
        ("starttls", Security::StartTls, Kind::SelfSigned, CertificateFlaw::SelfSigned),
        ("implicit", Security::Tls, Kind::Expired, CertificateFlaw::Expired),
        ("implicit", Security::Tls, Kind::Alone, CertificateFlaw::Alone),
    ];
    for (tls, security, kind, flaw) in cases {
        let mut post = Post::with(tls, kind, &account());
        let failure = refused(&post.log_in(security)).await;
        assert_eq!(*failure.reason, Reason::Unreached(Unreached::Certificate(flaw)));
        let credulous = MailServer { trust: Trust::Anything, ..post.log_in(security) };
        send_test(&credulous, "ann@example.test", "Chat").await.unwrap();
        assert_eq!(post.taken()["user"], "mm");
    }
    let post = Post::with("implicit", Kind::OtherName, &json!({}));
    let failure = refused(&post.reach(Security::Tls)).await;
    assert!(failure.finding().cause.contains("other.test"), "{failure}");
}

#[tokio::test]
async fn what_the_server_demands_is_named() {
    let mut want = account();
    want["auth_required"] = json!(true);
    let post = Post::new("starttls", &want);
    let failure = refused(&post.reach(Security::StartTls)).await;
    assert!(matches!(*failure.reason, Reason::AuthRequired(_)), "{failure:?}");
    assert_eq!(failure.answered_line().unwrap().text, "MAIL FROM:<chat@example.test>");

    let post = Post::new("starttls", &json!({ "tls_required": true }));
    let failure = refused(&post.reach(Security::None)).await;
    assert!(matches!(*failure.reason, Reason::TlsRequired(_)), "{failure:?}");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    type Is = fn(&Reason) -> bool;
    let cases: [(&str, &str, Is, &str); 6] = [
        ("MAIL", "553 5.7.1 not owned by user", |r| matches!(r, Reason::Sender(_)), "MATTERMOST_EMAIL"),
        ("RCPT", "550 5.1.1 no such user", |r| matches!(r, Reason::Recipient(_)), "address"),
        ("RCPT", "554 5.7.1 Relay access denied", |r| matches!(r, Reason::Relay(_)), "SMTP_USER"),
        ("RCPT", "450 4.2.0 greylisted", |r| matches!(r, Reason::Later(_)), "again"),
        ("DATA", "552 5.3.4 too big", |r| matches!(r, Reason::TooLarge(_)), "limit"),
        ("DATA", "554 5.7.1 spam", |r| matches!(r, Reason::Content(_)), "SPF"),
    ];
    for (command, reply, is, fix) in cases {
        let post = Post::new("", &json!({ "refuse": { command: reply } }));
        let failure = refused(&post.reach(Security::None)).await;
        assert!(is(&failure.reason), "{reply}: {failure:?}");
        assert_eq!(failing(&failure), reply);
        assert!(failure.finding().fix.contains(fix), "{reply}: {failure}");
    }
}

#[tokio::test]
async fn non_ascii_addresses_need_a_server_with_smtputf8() {
    let post = Post::new("", &json!({}));
    let failure = send_test(&post.reach(Security::None), "jürgen@example.test", "Chat").await.unwrap_err();
    assert_eq!(*failure.reason, Reason::AddressNotAscii);
    let mut post = Post::new("", &json!({ "utf8": true }));
    send_test(&post.reach(Security::None), "jürgen@example.test", "Chat").await.unwrap();
    assert_eq!(post.taken()["to"], json!(["jürgen@example.test"]));
}

#[tokio::test]
async fn each_kind_of_absent_server_is_explained() {
    let failure = refused(&at(closed().await)).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::Refused));
    let failure = refused(&MailServer { host: "mail.invalid".into(), ..at(25) }).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::UnknownHost));
    let failure = refused(&at(play(&[]).await)).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::Dropped));
    let failure = refused(&at(play(&[Step::Say("220 hi\r\n"), Step::Hear]).await)).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::Dropped));
    assert_eq!(failing(&failure), "EHLO chat.example.test");
    let failure = refused(&at(play(&[Step::Say("554 not you\r\n")]).await)).await;
    assert!(matches!(*failure.reason, Reason::Greeting(_)), "{failure:?}");
    let failure = refused(&at(play(&[Step::Say("HTTP/1.1 400 Bad Request\r\n\r\n")]).await)).await;
    assert!(matches!(*failure.reason, Reason::Unreached(Unreached::Garbled(_))), "{failure:?}");
    let failure = refused(&at(play(&[Step::Say("\u{15}\u{3}\u{3}\0\u{2}\u{2}("), Step::Wait]).await)).await;
    assert_eq!(*failure.reason, Reason::TlsPort);
    let quick = Duration::from_millis(300);
    let stuck = play(&[Step::Say("220 hi\r\n"), Step::Wait]).await;
    let failure = refused(&MailServer { timeout: quick, ..at(stuck) }).await;
    assert_eq!(*failure.reason, Reason::Unreached(Unreached::TimedOut(Some(quick))));
}

#[tokio::test]
async fn hostile_servers_are_refused() {
    // Lines sent before the encryption would be taken for lines sent after it.
    let early = [
        Step::Say("220 hi\r\n"),
        Step::Hear,
        Step::Say("250-hi\r\n250 STARTTLS\r\n"),
        Step::Hear,
        Step::Say("220 go\r\n250 AUTH PLAIN\r\n"),
        Step::Wait,
    ];
    let port = play(Box::leak(Box::new(early))).await;
    let failure = refused(&MailServer { security: Security::StartTls, ..at(port) }).await;
    assert!(matches!(*failure.reason, Reason::Unreached(Unreached::Garbled(_))), "{failure:?}");

    let endless: &'static str = Box::leak("x".repeat(40_000).into_boxed_str());
    let port = play(Box::leak(Box::new([Step::Say(endless), Step::Wait]))).await;
    let failure = refused(&at(port)).await;
    assert!(matches!(*failure.reason, Reason::Unreached(Unreached::Garbled(_))), "{failure:?}");

    let lines: &'static str = Box::leak("220-and\r\n".repeat(4_000).into_boxed_str());
    let port = play(Box::leak(Box::new([Step::Say(lines), Step::Wait]))).await;
    let failure = refused(&at(port)).await;
    assert!(matches!(*failure.reason, Reason::Unreached(Unreached::Garbled(_))), "{failure:?}");

    let port = play(&[Step::Say("220 \u{1b}[2J\u{7}hi\r\n"), Step::Repeat("550 you said ")]).await;
    let failure = refused(&at(port)).await;
    assert!(!failure.dialogue.to_string().contains(['\u{1b}', '\u{7}']), "{failure:?}");
    assert_eq!(failing(&failure), "550 you said EHLO chat.example.test");
    assert_eq!(failure.failing_line().unwrap().by, Speaker::Server);
}

#[tokio::test]
async fn an_address_with_a_command_in_it_is_not_sent() {
    let to = "ann@example.test>\r\nRCPT TO:<all@example.test";
    let failure = send_test(&at(closed().await), to, "Chat").await.unwrap_err();
    assert_eq!(*failure.reason, Reason::Address(to.to_owned()));
    assert!(!failure.to_string().contains('\n'), "{failure}");
}
