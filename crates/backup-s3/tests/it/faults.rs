//! What goes wrong, and what is said of it.

use backup::Store;
use backup_s3::{Bucket, Place};
use bytes::Bytes;
use hyper::Method;

use crate::server::{Server, Wrong, credentials};

fn content() -> Vec<Bytes> {
    vec![Bytes::from(vec![7; 100_000])]
}

#[test]
fn what_passes_is_tried_again() {
    let server = Server::start();
    let bucket = server.bucket();
    for wrong in [
        Wrong::Says(500, "InternalError"),
        Wrong::Says(503, "SlowDown"),
        Wrong::Says(503, ""),
        Wrong::Says(429, ""),
        Wrong::Says(429, "TooManyRequests"),
        Wrong::Cuts,
    ] {
        server.goes(wrong, 3, None);
        bucket.write("data/aa", &content()).unwrap_or_else(|error| panic!("{wrong:?}: {error}"));
        server.goes(wrong, 3, None);
        assert_eq!(bucket.read("data/aa").unwrap().len(), 100_000, "{wrong:?}");
        server.goes(wrong, 3, None);
        assert_eq!(bucket.list("data").unwrap().len(), 1, "{wrong:?}");
    }
    // Its own first attempt was the other writer.
    server.goes(Wrong::CutsAfter, 1, Some(Method::PUT));
    assert!(bucket.create("lock", b"mine").unwrap());
}

#[test]
fn what_stays_is_said_in_words() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.write("data/aa", &content()).unwrap();
    for (wrong, words) in [
        (Wrong::Says(500, "InternalError"), "failed, also after 5 attempts"),
        (Wrong::Says(503, "SlowDown"), "throttles these calls, also after 5 attempts"),
        (Wrong::Says(429, ""), "throttles these calls"),
        (Wrong::Cuts, "cannot be reached"),
        (
            Wrong::Says(403, "AccessDenied"),
            "may not call `s3:PutObject` on arn:aws:s3:::backups/chat/one/data/bb",
        ),
        (Wrong::Says(400, "ExpiredToken"), "have expired; get new ones"),
        (Wrong::Says(403, "RequestTimeTooSkewed"), "clock"),
        (Wrong::Says(301, "PermanentRedirect"), "is in another region"),
        (Wrong::Says(400, "AuthorizationHeaderMalformed"), "is in region `eu-west-1`; set `region`"),
        (Wrong::Says(404, "NoSuchBucket"), "there is no bucket `backups`; create it"),
        (Wrong::Says(400, "BadDigest"), "damaged on its way"),
        (Wrong::Says(507, "XMinioStorageFull"), "takes no more"),
        (Wrong::KeepsHalf, "100000 bytes were sent, and the storage has 50000"),
        (Wrong::Forgets, "took it, and does not have it"),
    ] {
        server.goes(wrong, usize::MAX, Some(Method::PUT));
        let error = bucket.write("data/bb", &content()).unwrap_err();
        assert!(error.to_string().contains(words), "{wrong:?}: {error}");
        assert!(error.to_string().starts_with("cannot write s3://backups/chat/one/data/bb: "), "{error}");
        assert!(!error.is_missing(), "{error}");
    }
    for (wrong, words) in [
        (Wrong::Says(403, "AccessDenied"), "may not call `s3:ListBucket` on arn:aws:s3:::backups, or"),
        (Wrong::Says(404, "NoSuchBucket"), "there is no bucket"),
    ] {
        server.goes(wrong, usize::MAX, None);
        let error = bucket.list("").unwrap_err();
        assert!(error.to_string().contains(words) && !error.is_missing(), "{wrong:?}: {error}");
    }
    server.works();
    assert_eq!(bucket.read("data/aa").unwrap().len(), 100_000);
}

#[test]
fn wrong_credentials_are_told_apart() {
    let server = Server::start();
    let said = |place: Place| Bucket::new(place).and_then(|bucket| bucket.list("")).unwrap_err().to_string();
    let wrong = said(server.place("wrong"));
    assert!(wrong.contains("secret key") && !wrong.contains("wrong,"), "{wrong}");
    let directory = tempfile::tempdir().unwrap();
    let with = |credentials| Place { credentials: Some(credentials), ..server.place("test") };
    let unknown = said(with(credentials(directory.path(), "stranger", "test")));
    assert!(
        unknown.contains("does not know the access key") || unknown.contains("may not call"),
        "{unknown}"
    );
    let missing = said(with(directory.path().join("nothing")));
    assert!(missing.contains("nothing cannot be read: it does not exist"), "{missing}");
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let open = said(with(empty.clone()));
    assert!(open.contains(&format!("run `chmod 600 {}`", empty.display())), "{open}");
    std::fs::set_permissions(&empty, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let none = said(with(empty));
    assert!(none.contains("no credentials were found"), "{none}");
    let nowhere = said(Place { endpoint: Some("http://127.0.0.1:9".to_owned()), ..server.place("test") });
    assert!(nowhere.contains("http://127.0.0.1:9 cannot be reached"), "{nowhere}");
    let absent = said(Place { bucket: "nobodys".to_owned(), ..server.place("test") });
    assert!(absent.contains("there is no bucket `nobodys`"), "{absent}");
}
