//! Each fault of a proxy fails exactly the check for it, with the right cause.

use std::time::Duration;

use acceptance::Report;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::Value;

use crate::miniature::{Rules, Server};
use crate::proxy::{self, Answer, Frame, Wrong};
use crate::walk::{failures, note, report, target};

/// The deployment's name; it is never resolved, because the test connects to the proxy's address.
const SITE: &str = "http://chat.example.test";

async fn through(wrong: Wrong) -> Report {
    let rules = Rules { site_url: SITE.to_owned(), may_leave: true, ..Rules::default() };
    let (upstream, _) = Server::start(rules).await;
    let mut target = target(SITE);
    target.via = Some(proxy::start(upstream, wrong).await);
    target.timeout = Duration::from_secs(2);
    report(&target).await
}

/// One row: what the proxy does, which checks fail, words of the first one's cause.
struct Case(&'static str, Wrong, &'static [&'static str], &'static str);

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn put(answer: &mut Answer, value: &Value) {
    answer.body = Bytes::from(value.to_string());
}

fn is_picture(path: &str) -> bool {
    path.starts_with("/api/v4/files/")
}

fn cases() -> Vec<Case> {
    let posted = |text: &str| text.contains(r#""event":"posted""#);
    vec![
        Case("passes everything on", Wrong::nothing(), &[], ""),
        Case(
            "drops Upgrade and Connection",
            Wrong::request(|_, headers, _| {
                headers.remove(header::UPGRADE);
                headers.remove(header::CONNECTION);
                None
            }),
            &["websocket-upgrade"],
            "does not pass the Upgrade and Connection headers",
        ),
        Case("answers 426", Wrong::page("/websocket", 426), &["websocket-upgrade"], "Upgrade"),
        Case("answers 200 to upgrades", Wrong::page("/websocket", 200), &["websocket-upgrade"], "Upgrade"),
        Case(
            "knows no websocket",
            Wrong::page("/websocket", 404),
            &["websocket-upgrade"],
            "/api/v4/websocket",
        ),
        Case(
            "makes every Origin the site's own",
            Wrong::request(|_, headers, _| {
                if headers.contains_key(header::ORIGIN) {
                    headers.insert(header::ORIGIN, HeaderValue::from_static(SITE));
                }
                None
            }),
            &["foreign-origin"],
            "rewrites the Origin",
        ),
        Case(
            "makes the Origin another one",
            Wrong::request(|_, headers, _| {
                if headers.contains_key(header::ORIGIN) {
                    headers.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:8065"));
                }
                None
            }),
            &["websocket-upgrade"],
            "replaces the Origin header",
        ),
        Case(
            "limits bodies to 1 kB",
            Wrong::request(|_, _, body| (body.len() > 1_000).then(|| proxy::page(413))),
            &["image-reply"],
            "the proxy (nginx) refuses bodies of this size",
        ),
        Case(
            "limits bodies to nginx's 1 MB",
            Wrong::request(|_, _, body| (body.len() > 1 << 20).then(|| proxy::page(413))),
            &["image-reply"],
            "(nginx)",
        ),
        Case("is rate limited", Wrong::page("/posts", 429), &["first-post"], "rate limit"),
        Case("is rate limited as nginx does it", Wrong::page("/posts", 503), &["first-post"], "`limit_req`"),
        Case(
            "lets GET and POST through and nothing else",
            Wrong::method(|method| (!["GET", "POST"].contains(&method)).then(|| proxy::page(405))),
            &["methods", "clean-up"],
            "PUT is not among them",
        ),
        Case(
            "lets no DELETE through",
            Wrong::method(|method| (method == "DELETE").then(|| proxy::page(403))),
            &["methods", "clean-up"],
            "DELETE is not among them",
        ),
        Case(
            "sets an Origin of its own, also where none was sent",
            Wrong::request(|_, headers, _| {
                headers.insert(header::ORIGIN, HeaderValue::from_static("http://evil.test"));
                None
            }),
            &["websocket-upgrade"],
            "a page at `http://chat.example.test` cannot open a websocket, because Mattermost sees a page at `http://evil.test`",
        ),
        Case(
            "has no upstream",
            Wrong::page("/", 502),
            &["reachable"],
            "does not get an answer from Mattermost",
        ),
        Case("asks for a password", Wrong::page("/api", 401), &["reachable"], "basic authentication"),
        Case("serves something else", Wrong::page("/", 200), &["reachable"], "another program answers"),
        Case(
            "redirects to another name",
            Wrong::request(|_, _, _| {
                Some(
                    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "https://chat.example.test/")])
                        .into_response(),
                )
            }),
            &["reachable"],
            "https:// only",
        ),
        Case(
            "adds a charset",
            Wrong::answer(|_, answer| {
                let value = HeaderValue::from_static("application/json; charset=utf-8");
                answer.headers.insert(header::CONTENT_TYPE, value);
            }),
            &["client-config"],
            "charset",
        ),
        Case(
            "removes the Token header",
            Wrong::answer(|_, answer| drop(answer.headers.remove("token"))),
            &["first-account", "clean-up"],
            "something other than what was requested",
        ),
        Case(
            "removes Authorization",
            Wrong::request(|_, headers, _| {
                headers.remove(header::AUTHORIZATION);
                None
            }),
            &["first-team", "clean-up"],
            "removes the Authorization header",
        ),
        Case(
            "says another SiteURL",
            Wrong::answer(|path, answer| {
                if path.contains("config/client") {
                    let mut config = json(answer);
                    config["SiteURL"] = "http://localhost:8065".into();
                    put(answer, &config);
                }
            }),
            &["site-url"],
            "is not the URL that people use",
        ),
        Case(
            "reports a broken file store",
            Wrong::answer(|path, answer| {
                if path.contains("get_server_status") {
                    let mut ping = json(answer);
                    ping["filestore_status"] = "UNHEALTHY".into();
                    put(answer, &ping);
                    answer.status = StatusCode::INTERNAL_SERVER_ERROR;
                }
            }),
            &["healthy"],
            "cannot write its files",
        ),
        Case(
            "changes a byte of the file",
            Wrong::answer(|path, answer| {
                if is_picture(path) && !path.ends_with("thumbnail") && !path.ends_with("preview") {
                    let mut bytes = answer.body.to_vec();
                    if let Some(byte) = bytes.get_mut(70_000) {
                        *byte ^= 1;
                    }
                    answer.body = bytes.into();
                }
            }),
            &["image-identical"],
            "changed or cut on the way",
        ),
        Case(
            "cuts the file",
            Wrong::answer(|path, answer| {
                if is_picture(path) && !path.ends_with("thumbnail") && !path.ends_with("preview") {
                    answer.cut = Some(100_000);
                }
            }),
            &["image-identical"],
            "closed the connection early",
        ),
        Case(
            "truncates thumbnails",
            Wrong::answer(|path, answer| {
                if path.ends_with("thumbnail") {
                    answer.body.truncate(500);
                }
            }),
            &["image-previews"],
            "thumbnail or preview",
        ),
        Case(
            "has no previews",
            Wrong::page("/preview", 404),
            &["image-previews"],
            "does not pass this path on",
        ),
        Case(
            "drops posted events",
            Wrong::frame(move |text| if posted(text) { Frame::Drop } else { Frame::Pass }),
            &["first-sees-reply", "second-sees-image"],
            "messages are missing",
        ),
        Case(
            "loses the first post's event",
            Wrong::frame(|text| if text.contains("Hello, Town Square") { Frame::Drop } else { Frame::Pass }),
            &["first-sees-reply", "second-sees-image"],
            "an event was lost",
        ),
        Case(
            "swallows the hello",
            Wrong::frame(|text| if text.contains("hello") { Frame::Drop } else { Frame::Pass }),
            &["first-websocket", "second-websocket"],
            "messages are missing",
        ),
        Case(
            "closes websockets after the hello",
            Wrong::frame(|text| if text.contains("pong") { Frame::Close } else { Frame::Pass }),
            &["first-websocket", "second-websocket"],
            "closes websockets early",
        ),
        Case(
            "puts another text in place of the pong",
            Wrong::frame(|text| match text.contains("pong") {
                true => Frame::Put(text.replace("pong", "pang")),
                false => Frame::Pass,
            }),
            &["first-websocket", "second-websocket"],
            "something other than what was requested",
        ),
        Case(
            "answers with errors under a 200",
            Wrong::answer(|path, answer| {
                if path.ends_with("/posts") && answer.status == StatusCode::CREATED {
                    let error =
                        r#"{"id":"api.context.permissions.app_error","message":"No","status_code":403}"#;
                    answer.body = Bytes::from_static(error.as_bytes());
                    answer.status = StatusCode::OK;
                }
            }),
            &["first-post"],
            "lacks a permission",
        ),
        Case(
            "changes the posts' text",
            Wrong::answer(|path, answer| {
                if path.ends_with("/posts") && answer.status == StatusCode::CREATED {
                    let mut post = json(answer);
                    post["message"] = "advertisement".into();
                    put(answer, &post);
                }
            }),
            &["first-post"],
            "something other than what was requested",
        ),
        Case(
            "answers without end",
            Wrong::answer(|path, answer| {
                if path.ends_with("system/ping") {
                    answer.body = vec![b' '; 5 << 20].into();
                }
            }),
            &["reachable"],
            "another program answers",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_its_check_and_no_other() {
    let mut wrong = Vec::new();
    for Case(what, mutation, checks, cause) in cases() {
        let report = through(mutation).await;
        let failures = failures(&report);
        let names: Vec<_> = failures.iter().map(|(name, _)| *name).collect();
        let first = failures.first().map_or("", |(_, cause)| *cause);
        if names != checks || !first.contains(cause) || report.passed() != checks.is_empty() {
            wrong.push(format!("a proxy that {what}: {failures:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_server_that_never_answers_costs_one_timeout() {
    let hole = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut target = target(SITE);
    target.via = Some(hole.local_addr().expect("bound"));
    target.timeout = Duration::from_millis(300);
    let report = report(&target).await;
    let failures = failures(&report);
    assert!(matches!(failures[..], [("reachable", why)] if why.contains("does not answer")), "{failures:?}");
    let ms: u64 = report.checks.iter().map(|check| check.ms).sum();
    assert!((300..2_000).contains(&ms), "{ms} ms");
}

#[tokio::test]
async fn garbage_is_not_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut target = target(SITE);
    target.via = Some(listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\x00\xff garbage\r\n\r\n").await;
        }
    });
    let report = report(&target).await;
    let failures = failures(&report);
    assert!(matches!(failures[..], [("reachable", why)] if why.contains("another program")), "{failures:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_remark() {
    let old = HeaderValue::from_static("Tue, 01 Jan 2030 00:00:00 GMT");
    let report = through(Wrong::answer(move |_, answer| {
        answer.headers.insert(header::DATE, old.clone());
    }))
    .await;
    assert!(report.passed(), "{}", report.to_markdown());
    assert!(note(&report, "reachable")[0].contains("clock"));
}

#[tokio::test]
async fn a_missing_site_url_is_told_from_a_wrong_one() {
    let report = through(Wrong::answer(|path, answer| {
        if path.contains("config/client") {
            let mut config = json(answer);
            config["SiteURL"] = "".into();
            put(answer, &config);
        }
    }))
    .await;
    let failures = failures(&report);
    assert!(matches!(failures[..], [("site-url", why)] if why.contains("is not set")), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cuts_silent_websockets_is_found_by_waiting() {
    let rules = Rules { site_url: SITE.to_owned(), may_leave: true, ..Rules::default() };
    let (upstream, _) = Server::start(rules).await;
    let mut target = target(SITE);
    target.timeout = Duration::from_secs(8);
    let cutting = Wrong::idle(Duration::from_secs(3));
    target.via = Some(proxy::start(upstream, cutting).await);
    let hasty = report(&target).await;
    assert!(hasty.passed(), "{}", hasty.to_markdown());
    target.idle = Some(Duration::from_secs(4));
    let patient = report(&target).await;
    let failures = failures(&patient);
    assert!(
        matches!(failures[..], [("idle", why)] if why.contains("closes connections on which nothing is sent")),
        "{failures:?}"
    );
}

#[tokio::test]
async fn what_was_not_reached_through_the_network_is_said() {
    let report = through(Wrong::nothing()).await;
    assert!(
        report.unchecked[0].starts_with("the name chat.example.test: 127.0.0.1:"),
        "{:?}",
        report.unchecked
    );
}
