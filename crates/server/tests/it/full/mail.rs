//! The mails of the server, as a mail server on loopback (aiosmtpd) takes them.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::mail_server::{MailServer, header};

use crate::engine;
use crate::site::{PASSWORD, Person, Site, account, refused, text};

/// Longer than a mail takes to a mail server on loopback.
const NO_MAIL: Duration = Duration::from_millis(700);

/// The settings of a site that sends its mails to `port`, changed by `more`.
fn settings(port: u16, more: &Value) -> Value {
    let mut settings = json!({
        "ServiceSettings": {"SiteURL": "https://chat.example.test", "EnableEmailInvitations": true},
        "TeamSettings": {"EnableOpenServer": true, "SiteName": "Chat & Co", "EnableUserDeactivation": true},
        "EmailSettings": {
            "SMTPServer": "127.0.0.1", "SMTPPort": port.to_string(), "FeedbackEmail": "chat@example.test",
            "ReplyToAddress": "help@example.test", "FeedbackName": "The Chat", "SendEmailNotifications": true,
        },
    });
    for (section, keys) in more.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            settings[section][key] = value.clone();
        }
    }
    settings
}

/// A mail server without encryption, and a site that sends to it.
async fn open(more: &Value) -> (MailServer, Site) {
    let post = MailServer::start(&json!({"tls": ""}));
    let site = Site::with(settings(post.port, more)).await;
    (post, site)
}

fn subject(mail: &Value) -> &str {
    header(mail, "Subject").unwrap_or_default()
}

fn to(mail: &Value) -> String {
    text(&mail["to"][0])
}

/// The address in a mail that begins with `start`, in its text, and in its HTML too.
fn link(mail: &Value, start: &str) -> reqwest::Url {
    let words = text(&mail["text"]);
    let link = words.split_whitespace().find(|word| word.starts_with(start));
    let link = link.unwrap_or_else(|| panic!("{start} is not in {words}")).to_owned();
    assert!(text(&mail["html"]).contains(&link.replace('&', "&amp;")), "{mail}");
    link.parse().expect("an address")
}

/// The value of a parameter of a link.
fn parameter(link: &reqwest::Url, name: &str) -> String {
    link.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn token(mail: &Value, path: &str) -> String {
    parameter(&link(mail, &format!("https://chat.example.test{path}?token=")), "token")
}

/// The answer to a request without a session: its status and the error's id.
async fn ask(site: &Site, path: &str, body: Value) -> (u16, String) {
    let answer = site.request("POST", path).json(&body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["id"].as_str().unwrap_or_default().to_owned())
}

fn is_ok((status, id): &(u16, String)) {
    assert!(*status < 300, "{status} {id}");
}

/// No mail comes.
fn nothing(post: &MailServer) {
    assert_eq!(post.mail_within(NO_MAIL), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_verified_before_the_first_sign_in_and_when_it_changes() {
    let (post, site) = open(&json!({"EmailSettings": {"RequireEmailVerification": true}})).await;
    is_ok(&ask(&site, "users", account("ada")).await);
    let mail = post.mail();
    assert_eq!(
        (subject(&mail), to(&mail)),
        ("[Chat & Co] Confirm your email address", "ada@example.com".to_owned())
    );
    assert_eq!(header(&mail, "From"), Some("The Chat <chat@example.test>"));
    assert_eq!(header(&mail, "Reply-To"), Some("help@example.test"));
    assert_eq!((&mail["greeting"], &mail["defects"]), (&json!("chat.example.test"), &json!([])));
    let first = token(&mail, "/do_verify_email");
    let login = json!({"login_id": "ada", "password": PASSWORD});
    let refusal = ask(&site, "users/login", login.clone()).await;
    assert_eq!(refusal, (401, "api.user.login.not_verified.app_error".to_owned()));

    // Another link: the first one no longer works. An unknown address gets the same answer and no mail.
    for address in ["nobody@example.com", "ADA@example.com"] {
        assert_eq!(ask(&site, "users/email/verify/send", json!({"email": address})).await.0, 200);
    }
    let second = token(&post.mail(), "/do_verify_email");
    let bad = (400, "api.user.verify_email.bad_link.app_error".to_owned());
    assert_eq!(ask(&site, "users/email/verify", json!({"token": first})).await, bad);
    is_ok(&ask(&site, "users/email/verify", json!({"token": second})).await);
    assert_eq!(ask(&site, "users/email/verify", json!({"token": second})).await, bad);
    for wrong in
        [json!({}), json!({"token": "short"}), json!({"token": ["x"]}), json!({"token": "é".repeat(32)})]
    {
        assert_eq!(ask(&site, "users/email/verify", wrong).await.0, 400);
    }
    let ada = site.log_in("ada").await;

    // The new address counts when its owner has followed the link; the old one is told.
    let changed = ada.put("users/me/patch", json!({"email": "ada@new.test", "password": PASSWORD})).await;
    assert_eq!(changed["email"], "ada@example.com");
    let mail = post.mail();
    assert_eq!(to(&mail), "ada@new.test");
    is_ok(&ask(&site, "users/email/verify", json!({"token": token(&mail, "/do_verify_email")})).await);
    let me = ada.get("users/me").await;
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("ada@new.test"), &json!(true)));
    let notice = post.mail();
    assert_eq!(
        (to(&notice), subject(&notice)),
        ("ada@example.com".into(), "[Chat & Co] Your email address was changed")
    );
    assert!(text(&notice["text"]).contains("ada@new.test"), "{notice}");

    // An account that an administrator makes with a verified address signs in at once, and gets no link.
    let mut made = account("bob");
    made["email_verified"] = true.into();
    ada.post("users", made).await;
    assert_eq!(subject(&post.mail()), "[Chat & Co] Welcome");
    let bob = site.log_in("bob").await;
    let mut quiet = account("cy");
    quiet["disable_welcome_email"] = true.into();
    ada.post("users", quiet).await;
    nothing(&post);
    bob.put(&format!("users/{}/active", bob.id), json!({"active": false})).await;
    assert_eq!(subject(&post.mail()), "[Chat & Co] Your account was deactivated");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_chosen_anew_by_a_link_that_works_once() {
    let (post, site) = open(&json!({"EmailSettings": {"SendEmailNotifications": false}})).await;
    let ada = site.sign_up("ada").await;
    let send = |address: &'static str| ask(&site, "users/password/reset/send", json!({"email": address}));
    is_ok(&send("nobody@example.com").await);
    is_ok(&send("ada@example.com").await);
    let mail = post.mail();
    assert_eq!(
        (subject(&mail), to(&mail)),
        ("[Chat & Co] Choose a new password", "ada@example.com".to_owned())
    );
    let link = token(&mail, "/reset_password_complete");
    let reset = |token: &str, password: &str| {
        ask(&site, "users/password/reset", json!({"token": token, "new_password": password}))
    };
    // A password that the rules refuse leaves the link as it is.
    assert_eq!(reset(&link, "short").await.0, 400);
    is_ok(&reset(&link, "another password 2").await);
    assert_eq!(subject(&post.mail()), "[Chat & Co] Your password was changed");
    let invalid = (400, "api.user.reset_password.invalid_link.app_error".to_owned());
    assert_eq!(reset(&link, "another password 3").await, invalid);
    assert_eq!(refused(ada.request("GET", "users/me")).await.0, 401, "the sessions end");
    let login = json!({"login_id": "ada", "password": "another password 2"});
    is_ok(&ask(&site, "users/login", login).await);

    // It expires, and is for nothing else.
    is_ok(&send("ada@example.com").await);
    let link = token(&post.mail(), "/reset_password_complete");
    assert_eq!(ask(&site, "users/email/verify", json!({"token": link})).await.0, 400);
    engine::ask(
        site.directory(),
        "update tokens set createat = createat - 86400000 where type = 'password_recovery' returning token",
    )
    .await;
    let expired = (400, "api.user.reset_password.link_expired.app_error".to_owned());
    assert_eq!(reset(&link, "another password 3").await, expired);

    // In an hour an address gets five, and whoever asks for more hears nothing else.
    for _ in 0..5 {
        is_ok(&send("ada@example.com").await);
    }
    let sent = std::iter::from_fn(|| post.mail_within(NO_MAIL)).count();
    assert_eq!(sent, 3);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_join_a_team_by_a_mail_or_by_a_link() {
    let closed = json!({"TeamSettings": {"EnableOpenServer": false}, "EmailSettings": {"SendEmailNotifications": false}});
    let (post, site) = open(&closed).await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    let path = format!("teams/{}/invite/email", text(&team["id"]));
    ada.post(&path, json!(["Bob@example.com"])).await;
    let mail = post.mail();
    assert_eq!(
        (subject(&mail), to(&mail)),
        ("[Chat & Co] @ada invites you to the team harbour", "bob@example.com".into())
    );
    let link = link(&mail, "https://chat.example.test/signup_user_complete/?d=");
    let said: Value = serde_json::from_str(&parameter(&link, "d")).expect("JSON");
    assert_eq!(said, json!({"email": "bob@example.com", "display_name": "harbour", "name": "harbour"}));
    let invitation = format!("users?t={}", parameter(&link, "t"));
    let mut bob = account("bob");
    bob["email"] = "mallory@example.com".into();
    is_ok(&ask(&site, &invitation, bob).await);
    let bob = site.log_in("bob").await;
    let me = bob.get("users/me").await;
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("bob@example.com"), &json!(true)));
    assert_eq!(bob.get("users/me/teams").await[0]["id"], team["id"]);
    let used = (400, "api.user.create_user.signup_link_invalid.app_error".to_owned());
    assert_eq!(ask(&site, &invitation, account("eve")).await, used);

    // An invite link joins the team with the account.
    is_ok(&ask(&site, &format!("users?iid={}", text(&team["invite_id"])), account("cy")).await);
    let cy = site.log_in("cy").await;
    assert_eq!(cy.get("users/me/teams").await[0]["id"], team["id"]);

    // Somebody with an account joins by the mail.
    let (other, _) = ada.team("pier").await;
    let to_other = format!("teams/{}/invite/email", text(&other["id"]));
    ada.post(&to_other, json!(["cy@example.com"])).await;
    let link = self::link(&post.mail(), "https://chat.example.test/signup_user_complete/?d=");
    cy.post(&format!("teams/members/invite?token={}", parameter(&link, "t")), json!({})).await;
    assert_eq!(cy.get("users/me/teams").await.as_array().map(Vec::len), Some(2));

    // What is refused: strangers to the team, addresses that are none, too many, and links that are two days old.
    assert_eq!(refused(bob.request("POST", &to_other).json(&json!(["x@example.com"]))).await.0, 403);
    let hostile = json!(["x@example.com\r\nBcc: y@example.com"]);
    assert_eq!(refused(ada.request("POST", &path).json(&hostile)).await.0, 400);
    let answer = ada.post(&format!("{path}?graceful=true"), json!(["dee@example.com", "none"])).await;
    assert_eq!((&answer[0]["error"], &answer[1]["email"]), (&Value::Null, &json!("none")));
    assert_eq!(answer[1]["error"]["id"], "api.team.invite_members.invalid_email.app_error");
    let link = self::link(&post.mail(), "https://chat.example.test/signup_user_complete/?d=");
    engine::ask(
        site.directory(),
        "update tokens set createat = createat - 172800000 where type = 'team_invitation' returning token",
    )
    .await;
    let expired = (400, "api.user.create_user.signup_link_expired.app_error".to_owned());
    assert_eq!(ask(&site, &format!("users?t={}", parameter(&link, "t")), account("dee")).await, expired);
    let many: Vec<String> = (0..18).map(|n| format!("many{n}@example.com")).collect();
    assert_eq!(refused(ada.request("POST", &path).json(&many)).await.0, 413);
    nothing(&post);
    site.end().await;
}

/// A site with two people in a team, and a channel of it.
async fn pair(more: &Value) -> (MailServer, Site, Person, Person, String) {
    let (post, site) = open(more).await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    if more["EmailSettings"]["SendEmailNotifications"] != false {
        let welcome = [post.mail(), post.mail()];
        assert_eq!([to(&welcome[0]), to(&welcome[1])], ["ada@example.com", "bob@example.com"]);
    }
    let (team, square) = ada.team("harbour").await;
    bob.join(&team).await;
    for person in [&ada, &bob] {
        person.put("users/me/status", json!({"user_id": person.id, "status": "offline"})).await;
    }
    (post, site, ada, bob, square)
}

async fn write_directly(from: &Person, to: &Person, message: &str) -> String {
    let channel = from.post("channels/direct", json!([from.id, to.id])).await;
    text(&from.say(&text(&channel["id"]), message).await["id"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_are_away_are_told_of_what_concerns_them() {
    let subpath = json!({"ServiceSettings": {"SiteURL": "https://chat.example.test/chat"}});
    let (post, site, ada, bob, square) = pair(&subpath).await;
    let hostile = "look <script>alert(1)</script>\n.\n\"x\"";
    let message = write_directly(&ada, &bob, hostile).await;
    let mail = post.mail();
    assert_eq!(
        (subject(&mail), to(&mail)),
        ("[Chat & Co] New direct message from @ada", "bob@example.com".to_owned())
    );
    let words = text(&mail["text"]).replace("\r\n", "\n");
    assert!(words.contains("> look <script>alert(1)</script>\n> .\n> \"x\"\n"), "{words}");
    assert!(!text(&mail["html"]).contains("<script"), "{mail}");
    link(&mail, &format!("https://chat.example.test/chat/_redirect/pl/{message}"));

    // A mention in a channel, and in the language of whoever is mentioned.
    bob.put("users/me/patch", json!({"locale": "de"})).await;
    let root = text(&ada.say(&square, "@bob come @ada").await["id"]);
    let mail = post.mail();
    assert_eq!(subject(&mail), "[Chat & Co] @ada hat Sie in harbour erwähnt");
    assert!(text(&mail["html"]).contains(r#"<html lang="de">"#), "{mail}");
    link(&mail, &format!("https://chat.example.test/chat/harbour/pl/{root}"));

    // A reply in a thread that somebody follows.
    let reply =
        |root: &str, message: &str| json!({"channel_id": square, "root_id": root, "message": message});
    bob.post("posts", reply(&root, "coming")).await;
    let mail = post.mail();
    assert_eq!(
        (to(&mail), subject(&mail)),
        ("ada@example.com".into(), "[Chat & Co] @bob replied in a thread in harbour")
    );

    // Nobody is told of what they do not want to be told of, of their own posts, or of others' conversations.
    ada.say(&square, "nothing for anybody").await;
    nothing(&post);
    bob.put("users/me/patch", json!({"notify_props": {"email": "false"}})).await;
    ada.say(&square, "@bob again").await;
    nothing(&post);
    bob.put("users/me/patch", json!({"notify_props": {"email": "true", "email_threads": "mention"}})).await;
    ada.post("posts", reply(&root, "a reply without a mention")).await;
    nothing(&post);
    let muted = format!("channels/{square}/members/{}/notify_props", bob.id);
    bob.put(&muted, json!({"user_id": bob.id, "channel_id": square, "mark_unread": "mention"})).await;
    ada.say(&square, "@bob muted").await;
    // Nor who is there.
    ada.put("users/me/status", json!({"user_id": ada.id, "status": "online"})).await;
    write_directly(&bob, &ada, "you are online").await;
    nothing(&post);
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_of_notifications_makes_its_difference() {
    // Contents.
    let generic = json!({"EmailSettings": {
        "EmailNotificationContentsType": "generic", "FeedbackOrganization": "Co, 1 <Street>"}});
    let (post, site, ada, _, square) = pair(&generic).await;
    ada.say(&square, "@bob a secret").await;
    let mail = post.mail();
    assert_eq!(subject(&mail), "[Chat & Co] New notification");
    assert!(!mail.to_string().contains("a secret"), "{mail}");
    assert!(
        text(&mail["text"]).contains("Co, 1 <Street>")
            && text(&mail["html"]).contains("Co, 1 &lt;Street&gt;")
    );
    site.end().await;
    // Off.
    let off = json!({"EmailSettings": {"SendEmailNotifications": false}});
    let (post, site, ada, _, square) = pair(&off).await;
    ada.say(&square, "@bob").await;
    nothing(&post);
    site.end().await;
    // The channel's name; gathered until two are there, or the server stops, or at once for whoever wants that.
    let gathered = json!({
        "EmailSettings": {
            "UseChannelInEmailNotifications": true, "EnableEmailBatching": true, "EmailBatchingBufferSize": 2},
        // Nobody has words in Klingon: then the site's language counts.
        "LocalizationSettings": {"DefaultClientLocale": "tlh", "DefaultServerLocale": "ja"},
    });
    let (post, site, ada, bob, square) = pair(&gathered).await;
    ada.say(&square, "@bob one").await;
    nothing(&post);
    ada.say(&square, "@bob two").await;
    let mail = post.mail();
    assert_eq!(subject(&mail), "[Chat & Co] 2 件の新しい通知");
    let words = text(&mail["text"]);
    assert!(words.contains("> @bob one") && words.contains("> @bob two"), "{words}");
    let at_once =
        json!([{"user_id": bob.id, "category": "notifications", "name": "email_interval", "value": "30"}]);
    bob.put(&format!("users/{}/preferences", bob.id), at_once.clone()).await;
    ada.say(&square, "@bob three").await;
    assert_eq!(subject(&post.mail()), "[Chat & Co] @ada さんが Town Square であなたにメンションしました");
    bob.post(&format!("users/{}/preferences/delete", bob.id), at_once).await;
    ada.say(&square, "@bob four").await;
    site.end().await;
    assert!(text(&post.mail()["text"]).contains("> @bob four"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_go_encrypted_and_signed_in_and_the_test_mail_says_why_not() {
    let directory = TempDir::new().expect("a temporary directory");
    testbed::certificate::write(directory.path(), &["127.0.0.1"], false);
    let file = |name: &str| directory.path().join(name);
    for (tls, security) in [("starttls", "STARTTLS"), ("implicit", "TLS")] {
        let want = json!({"tls": tls, "certificate": file("server.pem"), "key": file("server.key"),
            "user": "mm", "password": "s3cret & wörd"});
        let post = MailServer::start(&want);
        let with = |skip: bool, password: &str| {
            settings(
                post.port,
                &json!({"EmailSettings": {
                "ConnectionSecurity": security, "EnableSMTPAuth": true, "SMTPUsername": "mm", "SMTPPassword": password,
                "SkipServerCertificateVerification": skip, "SendEmailNotifications": false}}),
            )
        };
        let site = Site::with(with(true, "s3cret & wörd")).await;
        let ada = site.sign_up("ada").await;
        ada.post("email/test", json!({})).await;
        let mail = post.mail();
        assert_eq!(
            (&mail["user"], &mail["tls"], subject(&mail)),
            (&json!("mm"), &json!(true), "[Chat & Co] Test mail")
        );
        let other = json!({"EmailSettings": {"SMTPServer": "other.example.test"}});
        assert_eq!(refused(ada.request("POST", "email/test").json(&other)).await.0, 501);
        let directory = site.end().await;
        for (skip, password, cause) in [(false, "s3cret & wörd", "certificate"), (true, "wr0ng", "535")] {
            let site =
                Site::in_directory(TempDir::new().expect("a temporary directory"), with(skip, password))
                    .await;
            let ada = site.sign_up("ada").await;
            let answer = ada.request("POST", "email/test").send().await.expect("an answer");
            assert_eq!(answer.status(), 500);
            let answer = answer.text().await.expect("a text");
            assert!(answer.contains(cause) && !answer.contains(password), "{answer}");
            let bob = site.sign_up("bob").await;
            assert_eq!(refused(bob.request("POST", "email/test")).await.0, 403);
            site.end().await;
        }
        drop(directory);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_away_delays_no_request_and_gets_the_mail_later() {
    let port = testbed::child::free_port();
    let site = Site::with(settings(port, &json!({}))).await;
    site.sign_up("ada").await;
    // The first attempt has failed; the next one comes two seconds later.
    let post = MailServer::start(&json!({"tls": "", "port": port}));
    assert_eq!(subject(&post.mail()), "[Chat & Co] Welcome");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_mail_server_says_so() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let body = json!({"email": "ada@example.com"});
    for path in ["users/password/reset/send", "users/email/verify/send"] {
        assert_eq!(ask(&site, path, body.clone()).await.0, 501, "{path}");
    }
    assert_eq!(
        refused(ada.request("POST", "email/test")).await,
        (400, "api.admin.test_email.missing_server".to_owned())
    );
    let (team, _) = ada.team("harbour").await;
    let path = format!("teams/{}/invite/email", text(&team["id"]));
    let disabled = (501, "api.team.invite_members.disabled.app_error".to_owned());
    assert_eq!(refused(ada.request("POST", &path).json(&json!(["x@example.com"]))).await, disabled);
    let config = site.request("GET", "config/client?format=old").send().await.expect("an answer");
    let config: Value = config.json().await.expect("JSON");
    assert_eq!(
        (&config["SendEmailNotifications"], &config["MainstaySendsMail"]),
        (&json!("false"), &json!("false"))
    );
    site.end().await;
}
