//! Registries that refuse, fail or misbehave.
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode};
use oci::{Credentials, Layout, OciError, Pushed, Reference, Registry, Transport};

use crate::image;
use crate::server::{client, serve};

type Answer = Response<Body>;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.to_owned())).unwrap()
}

/// Pushes to a registry that accepts everything, except where `odd` gives another answer.
async fn push(
    odd: impl Fn(&Request) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> Result<Pushed, OciError> {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let app = Router::new().fallback(move |request: Request| {
        let given = odd(&request).unwrap_or_else(|| usual(&request));
        async move {
            // Read the whole body, or the client sees a broken pipe instead of the answer.
            axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
            given
        }
    });
    push_to(&layout, &format!("{}/team/mattermost:t", serve(app).await)).await
}

async fn push_to(layout: &Layout, to: &str) -> Result<Pushed, OciError> {
    let credentials = Credentials { user: "maria".to_owned(), password: "pass-word".into() };
    let to: Reference = to.parse().unwrap();
    Registry::new(client()).credentials(credentials).push(layout, &to).await
}

fn usual(request: &Request) -> Answer {
    match *request.method() {
        Method::HEAD => answer(404, &[], ""),
        Method::POST => answer(202, &[("location", "/elsewhere?state=a%2Bb")], ""),
        _ => answer(201, &[], ""),
    }
}

fn on(method: Method, given: fn() -> Answer) -> impl Fn(&Request) -> Option<Answer> + Clone {
    move |request| (*request.method() == method).then(given)
}

fn complaint(code: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"because\u001b[31m"}}]}}"#)
}

#[tokio::test]
async fn every_refusal_has_its_own_error() {
    let outcome = push(on(Method::HEAD, || answer(403, &[], ""))).await;
    assert!(matches!(outcome, Err(OciError::Unauthorized { .. })), "{outcome:?}");

    let outcome = push(on(Method::POST, || answer(404, &[], &complaint("NAME_UNKNOWN")))).await;
    let said = outcome.unwrap_err().to_string();
    assert!(said.contains("NAME_UNKNOWN: because[31m"), "{said:?}");
    assert!(!said.contains('\u{1b}'));

    let outcome = push(on(Method::PUT, || answer(400, &[], &complaint("DIGEST_INVALID")))).await;
    assert!(matches!(outcome, Err(OciError::WrongDigest { .. })), "{outcome:?}");

    let other = || answer(201, &[("docker-content-digest", "sha256:00")], "");
    let outcome = push(on(Method::PUT, other)).await;
    assert!(matches!(outcome, Err(OciError::WrongDigest { found, .. }) if found == "sha256:00"));

    for (status, hint) in [(413, "proxy"), (429, "later"), (503, "log"), (302, "")] {
        let given =
            move |request: &Request| (request.method() == Method::PUT).then(|| answer(status, &[], ""));
        let outcome = push(given).await;
        let Err(e @ OciError::Refused { .. }) = outcome else { panic!("{outcome:?}") };
        assert!(e.to_string().contains(&status.to_string()) && e.to_string().contains(hint), "{e}");
    }

    let outcome = push(on(Method::POST, || answer(202, &[], ""))).await;
    assert!(matches!(outcome, Err(OciError::Protocol { .. })), "{outcome:?}");

    // An error body of 6 MB does not make a long message.
    let endless = || answer(500, &[], &"<html>".repeat(1_000_000));
    assert!(push(on(Method::HEAD, endless)).await.unwrap_err().to_string().len() < 200);
}

#[tokio::test]
async fn a_missing_answer_is_explained() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = push_to(&layout, &format!("{closed}/a")).await.unwrap_err().to_string();
    assert!(said.contains("refused") && said.contains(&closed.port().to_string()), "{said}");

    let plain = serve(Router::new()).await;
    let to: Reference = format!("{plain}/a").parse().unwrap();
    let outcome = Registry::new(client()).transport(Transport::Https).push(&layout, &to).await;
    let said = outcome.unwrap_err().to_string();
    assert!(said.contains("plain HTTP"), "{said}");
}

#[tokio::test]
async fn after_a_token_expires_the_layer_is_sent_again_with_a_new_one() {
    let tokens = Arc::new(Mutex::new(0));
    let given = {
        let tokens = tokens.clone();
        move |request: &Request| {
            if request.uri().path() == "/token" {
                let mut count = tokens.lock().unwrap();
                *count += 1;
                return Some(answer(200, &[], &format!(r#"{{"access_token":"t{count}"}}"#)));
            }
            // The first token allows everything except uploading bytes.
            let host = request.headers()["host"].to_str().unwrap();
            let carried = request.headers().get("authorization").map(|value| value.to_str().unwrap());
            let good = match carried {
                Some("Bearer t1") => request.method() != Method::PUT,
                Some("Bearer t2") => true,
                _ => false,
            };
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
            (!good).then(|| answer(401, &[("www-authenticate", &challenge)], ""))
        }
    };
    assert_eq!(push(given).await.unwrap().sent, 3);
    assert_eq!(*tokens.lock().unwrap(), 2);
}

#[tokio::test]
async fn the_password_is_sent_to_the_registry_only() {
    // Uploads go to another host, which must not see the password.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let other = {
        let seen = seen.clone();
        Router::new().fallback(move |request: Request| {
            seen.lock().unwrap().push(request.headers().get("authorization").cloned());
            async move {
                axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
                StatusCode::CREATED
            }
        })
    };
    let other = serve(other).await;
    let location = format!("http://{other}/upload");
    let outcome = push(move |request: &Request| {
        if request.headers().get("authorization").is_none() {
            return Some(answer(401, &[("www-authenticate", "Basic realm=r")], ""));
        }
        (request.method() == Method::POST).then(|| answer(202, &[("location", &location)], ""))
    })
    .await;
    assert_eq!(outcome.unwrap().sent, 3);
    assert_eq!(*seen.lock().unwrap(), [None, None, None]);

    // Nor must a token service on another machine without TLS.
    let far = "Bearer realm=\"http://192.0.2.1/token\"";
    let outcome = push(move |_: &Request| Some(answer(401, &[("www-authenticate", far)], ""))).await;
    assert!(
        matches!(&outcome, Err(OciError::Protocol { why, .. }) if why.contains("not HTTPS")),
        "{outcome:?}"
    );
}
