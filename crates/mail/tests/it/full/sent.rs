//! What arrives, and what a failure says.

use std::path::Path;
use std::time::Duration;

use mail::{MailError, MailServer, Message, Security, Trust, send};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use testbed::mail_server::{self, header};

const PASSWORD: &str = "s3cret & wörd";

fn at(port: u16) -> MailServer {
    MailServer {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        username: String::new(),
        password: SecretString::from(PASSWORD),
        trust: Trust::System,
        greeting: "chat.example.test".into(),
        from_name: "Grüße, \"Chat\"".into(),
        from: "chat@example.test".into(),
        reply_to: "help@example.test".into(),
        timeout: Duration::from_secs(20),
    }
}

fn message() -> Message {
    Message {
        to: "ann@example.test".into(),
        subject: "Hello".into(),
        text: "Words: ü\n.\nend".into(),
        html: Some("<p>Words: ü</p>".into()),
    }
}

/// A mail server with TLS, and the authority to trust.
fn with_tls(directory: &Path, tls: &str, more: &Value) -> (mail_server::MailServer, Trust) {
    testbed::certificate::write(directory, &["127.0.0.1"], false);
    let file = |name: &str| directory.join(name);
    let mut want = json!({ "tls": tls, "certificate": file("server.pem"), "key": file("server.key") });
    for (key, value) in more.as_object().unwrap() {
        want[key] = value.clone();
    }
    let authority = CertificateDer::from_pem_file(file("ca.pem")).unwrap();
    (mail_server::MailServer::start(&want), Trust::SystemAnd(vec![authority]))
}

#[tokio::test]
async fn both_parts_arrive_and_nothing_in_a_name_or_subject_adds_a_header() {
    let post = mail_server::MailServer::start(&json!({ "tls": "" }));
    let hostile = "Grüße\r\nBcc: all@example.test\r\n\r\n.\r\n";
    let server = MailServer { from_name: hostile.into(), ..at(post.port) };
    send(&server, &Message { subject: hostile.into(), ..message() }).await.unwrap();
    let taken = post.mail();
    assert_eq!(taken["to"], json!(["ann@example.test"]));
    assert_eq!(taken["from"], "chat@example.test");
    assert_eq!(taken["greeting"], "chat.example.test");
    assert_eq!(taken["defects"], json!([]));
    assert_eq!(taken["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), "Words: ü\n.\nend");
    assert_eq!(taken["html"].as_str().unwrap().trim_end(), "<p>Words: ü</p>");
    assert_eq!(header(&taken, "Bcc"), None);
    assert_eq!(header(&taken, "Reply-To"), Some("help@example.test"));
    assert_eq!(header(&taken, "Auto-Submitted"), Some("auto-generated"));
    assert!(header(&taken, "Subject").unwrap().starts_with("Grüße  Bcc"), "{taken}");
    assert!(header(&taken, "From").unwrap().contains("<chat@example.test>"), "{taken}");
    assert!(header(&taken, "Message-ID").unwrap().ends_with("@example.test>"), "{taken}");

    for to in ["ann@example.test\r\nBcc: x@example.test", "ann", "", "a@b, c@d"] {
        let refused = send(&at(post.port), &Message { to: to.into(), ..message() }).await.unwrap_err();
        assert!(matches!(refused, MailError::Address { .. }) && !refused.is_temporary(), "{refused}");
    }
}

#[tokio::test]
async fn signs_in_over_either_kind_of_tls_and_trusts_only_what_it_should() {
    let account = json!({ "user": "mm", "password": PASSWORD });
    for (tls, security) in [("starttls", Security::StartTls), ("implicit", Security::Tls)] {
        let directory = tempfile::tempdir().unwrap();
        let (post, trust) = with_tls(directory.path(), tls, &account);
        let server = MailServer { security, username: "mm".into(), trust, ..at(post.port) };
        send(&server, &message()).await.unwrap();
        let taken = post.mail();
        assert_eq!((&taken["user"], &taken["tls"]), (&json!("mm"), &json!(true)));

        let strict = MailServer { trust: Trust::System, ..server.clone() };
        let failure = send(&strict, &message()).await.unwrap_err().to_string();
        assert!(failure.contains("certificate"), "{failure}");
        let skipping = MailServer { trust: Trust::Anything, host: "localhost".into(), ..server.clone() };
        send(&skipping, &message()).await.unwrap();

        let wrong = MailServer { password: SecretString::from("0ther"), ..server };
        let failure = send(&wrong, &message()).await.unwrap_err();
        assert!(
            matches!(failure, MailError::Refused { code: 535, .. }) && !failure.is_temporary(),
            "{failure}"
        );
        assert!(!format!("{failure} {failure:?}").contains("0ther"), "{failure}");
    }
}

#[tokio::test]
async fn no_password_and_no_mail_crosses_an_unencrypted_connection_that_should_be_encrypted() {
    let post = mail_server::MailServer::start(&json!({ "tls": "", "user": "mm", "password": PASSWORD }));
    let plain = MailServer { username: "mm".into(), ..at(post.port) };
    let refused = send(&plain, &message()).await.unwrap_err();
    assert!(matches!(refused, MailError::PasswordNeedsTls { .. }), "{refused}");
    let starttls = MailServer { security: Security::StartTls, ..at(post.port) };
    let refused = send(&starttls, &message()).await.unwrap_err();
    assert!(refused.to_string().contains("STARTTLS"), "{refused}");
    assert!(post.mail_within(Duration::from_millis(200)).is_none());
}

#[tokio::test]
async fn a_failure_says_what_happened_and_whether_to_try_again() {
    for (refuse, temporary) in [("450 4.2.0 greylisted, try later", true), ("550 5.1.1 no such user", false)]
    {
        let post = mail_server::MailServer::start(&json!({ "tls": "", "refuse": { "RCPT": refuse } }));
        let failure = send(&at(post.port), &message()).await.unwrap_err();
        assert_eq!(failure.is_temporary(), temporary, "{failure}");
        assert!(failure.to_string().ends_with(refuse), "{failure}");
    }
    let nothing = send(&at(testbed::child::free_port()), &message()).await.unwrap_err();
    assert!(nothing.is_temporary() && nothing.to_string().contains("refused"), "{nothing}");
    // A server that accepts the connection and stays silent.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server =
        MailServer { timeout: Duration::from_millis(300), ..at(silent.local_addr().unwrap().port()) };
    let failure = send(&server, &message()).await.unwrap_err();
    assert!(failure.is_temporary() && failure.to_string().contains("300ms"), "{failure}");
}
