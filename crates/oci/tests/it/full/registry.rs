//! Pushes to a real registry, and pulls back.
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::RawQuery;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use oci::{Credentials, Meter, OciError, Reference, Registry};
use testbed::registry::Registry as RealRegistry;

use crate::image;
use crate::judge::{attempt, json, skopeo};
use crate::server::{client, serve};

fn credentials(password: &str) -> Credentials {
    Credentials { user: "maria".to_owned(), password: password.into() }
}

#[tokio::test]
async fn a_pulled_image_equals_the_pushed_one() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let real = RealRegistry::start(scratch.path(), "");
    let to: Reference = format!("{}/team/mattermost:11.7.0", real.address).parse().unwrap();
    let meter = Meter::default();
    let registry = Registry::new(client()).meter(meter.clone());

    let first = registry.push(&layout, &to).await.unwrap();
    assert_eq!((first.sent, first.present), (3, 0));
    assert_eq!(meter.bytes(), layout.bytes());
    let again = registry.push(&layout, &to).await.unwrap();
    assert_eq!((again.sent, again.present), (0, 3));
    assert_eq!(meter.bytes(), 2 * layout.bytes());

    let by_digest: Reference =
        format!("{}/team/mattermost@{}", real.address, layout.digest()).parse().unwrap();
    registry.push(&layout, &by_digest).await.unwrap();
    for name in [&to, &by_digest] {
        let docker = format!("docker://{name}");
        let seen = json(&skopeo(&["inspect", "--tls-verify=false", &docker]));
        assert_eq!(seen["Digest"], layout.digest().to_string());
        assert_eq!(first.digest, layout.digest());
    }

    let pulled = scratch.path().join("pulled");
    let docker = format!("docker://{to}");
    skopeo(&["copy", "--src-tls-verify=false", &docker, &format!("oci:{}:11.7.0", pulled.display())]);
    let pulled = oci::Layout::open(&pulled).unwrap();
    assert_eq!(pulled.digest(), layout.digest());
    assert!(pulled.blobs().eq(layout.blobs()));
}

#[tokio::test]
async fn a_name_with_another_images_digest_is_refused_before_anything_is_sent() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let to = format!("127.0.0.1:1/a@{}", oci::Digest::of(b"other")).parse().unwrap();
    let outcome = Registry::new(client()).push(&layout, &to).await;
    assert!(matches!(outcome, Err(OciError::WrongDigest { .. })), "{outcome:?}");
}

#[tokio::test]
async fn pushing_with_a_password_works() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let passwords = scratch.path().join("htpasswd");
    let hash =
        bcrypt::hash_with_result("s\u{e9}cret:1", 4).unwrap().format_for_version(bcrypt::Version::TwoY);
    std::fs::write(&passwords, format!("maria:{hash}\n")).unwrap();
    let auth =
        format!("auth:\n  htpasswd:\n    realm: \"a \\\"test\\\"\"\n    path: {}\n", passwords.display());
    let real = RealRegistry::start(scratch.path(), &auth);
    let to: Reference = format!("{}/mattermost", real.address).parse().unwrap();
    let registry = Registry::new(client());

    let unnamed = registry.push(&layout, &to).await.unwrap_err().to_string();
    assert!(unnamed.contains("it asks for a user name and password"), "{unnamed}");
    let wrong = registry.clone().credentials(credentials("wrong")).push(&layout, &to).await;
    let Err(OciError::Unauthorized { who, .. }) = &wrong else { panic!("{wrong:?}") };
    assert_eq!(who, "maria");
    assert!(!format!("{wrong:?}").contains("wrong"), "the error contains the password");

    registry.credentials(credentials("s\u{e9}cret:1")).push(&layout, &to).await.unwrap();
    let docker = format!("docker://{to}");
    let inspect = ["inspect", "--tls-verify=false", "--creds", "maria:s\u{e9}cret:1", &docker];
    assert_eq!(json(&skopeo(&inspect))["Digest"], layout.digest().to_string());
    assert!(attempt("skopeo", &["inspect", "--tls-verify=false", &docker]).is_err());
}

/// A token service that grants every request and records who asked for what.
struct TokenService {
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
    asked: Mutex<Vec<(Option<String>, String)>>,
}

impl TokenService {
    fn token(&self, scope: &str) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let (name, actions) = scope.strip_prefix("repository:").unwrap().split_once(':').unwrap();
        let header = serde_json::json!({
            "typ": "JWT", "alg": "ES256", "x5c": [BASE64_STANDARD.encode(&self.certificate)]
        });
        let claims = serde_json::json!({
            "iss": "tests", "sub": "maria", "aud": "registry", "jti": "1",
            "iat": now - 60, "nbf": now - 60, "exp": now + 600,
            "access": [{"type": "repository", "name": name, "actions": actions.split(',').collect::<Vec<_>>()}]
        });
        let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

#[tokio::test]
async fn pushing_with_a_token_works() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let made = rcgen::generate_simple_self_signed(["tokens".to_owned()]).unwrap();
    let bundle = scratch.path().join("tokens.pem");
    std::fs::write(&bundle, made.cert.pem()).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &made.signing_key.serialize_der())
        .unwrap();
    let certificate = made.cert.der().to_vec();
    let service = Arc::new(TokenService { key, certificate, asked: Mutex::default() });

    let answering = service.clone();
    let answer = get(move |headers: HeaderMap, RawQuery(query): RawQuery| async move {
        let query = query.unwrap_or_default();
        let user = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let value = |key: &str| pairs.iter().find(|(k, _)| k == key).unwrap().1.clone();
        answering.asked.lock().unwrap().push((user, format!("{} {}", value("service"), value("scope"))));
        Json(serde_json::json!({"token": answering.token(&value("scope"))}))
    });
    let address = serve(Router::new().route("/token", answer)).await;
    let auth = format!(
        "auth:\n  token:\n    realm: http://{address}/token\n    service: registry\n    issuer: tests\n    rootcertbundle: {}\n",
        bundle.display()
    );
    let real = RealRegistry::start(scratch.path(), &auth);
    let to: Reference = format!("{}/team/mattermost:t", real.address).parse().unwrap();

    let pushed = Registry::new(client()).credentials(credentials("secret")).push(&layout, &to).await.unwrap();
    assert_eq!(pushed.sent, 3);
    let asked = service.asked.lock().unwrap();
    let user = format!("Basic {}", BASE64_STANDARD.encode("maria:secret"));
    let wanted = "registry repository:team/mattermost:pull,push".to_owned();
    assert_eq!(*asked, [(Some(user), wanted)], "one token for the whole push");
}
