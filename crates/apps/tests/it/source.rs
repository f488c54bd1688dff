//! Bundles from servers that are honest, slow, endless or hostile; all of them on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use apps::Error;
use apps::source::{Fetched, ReadObject, Source, Wanted, fetch};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use finding::Exit;

const CONTENT: &str = "the bundle";
/// Its SHA-256.
const SHA256: &str = "cf3eb5ed9cdafc7ac3c8a7b9e2d1fe9c7b5a4f0c0e7c1a8b3cf8a8c4e9a6d3c1";

/// S3 with one object.
struct OneObject;

impl ReadObject for OneObject {
    async fn read_object(&self, bucket: &str, key: &str, into: &Path, most: u64) -> Result<(), Error> {
        assert_eq!((bucket, key, most), ("b", "path/app.zip", 1000));
        std::fs::write(into, CONTENT).map_err(|error| Error::new(Exit::NotReady, error.to_string()))
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn wanted(sha256: Option<&str>) -> Wanted {
    Wanted { most: 1000, ..Wanted::new(sha256, |_| None).unwrap() }
}

async fn fetched(source: &str, wanted: &Wanted) -> Result<Fetched, Error> {
    fetch(&Source::read(source).unwrap(), wanted, &OneObject, &std::env::temp_dir()).await
}

async fn site() -> SocketAddr {
    let endless = || async {
        let stream = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 100]));
        Body::from_stream(stream)
    };
    let page = || async { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "<html>") };
    let cut = || async {
        let parts: [Result<&str, std::io::Error>; 2] = [Ok("half"), Err(std::io::Error::other("cut"))];
        Body::from_stream(futures_util::stream::iter(parts))
    };
    let router = Router::new()
        .route("/app.zip", get(|| async { CONTENT }))
        .route("/there", get(|| async { Redirect::temporary("/app.zip") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/nowhere", get(|| async { StatusCode::FOUND }))
        .route("/file", get(|| async { ([(header::LOCATION, "file:///etc/passwd")], StatusCode::FOUND) }))
        .route("/endless", get(endless))
        .route("/large", get(|| async { vec![0_u8; 1001] }))
        .route("/exact", get(|| async { vec![0_u8; 1000] }))
        .route("/page", get(page))
        .route("/cut", get(cut))
        .route("/closed", get(|| async { StatusCode::FORBIDDEN }))
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }));
    serve(router).await
}

#[tokio::test]
async fn a_bundle_is_fetched_from_wherever_it_is() {
    let at = site().await;
    for source in ["s3://b/path/app.zip", &format!("http://{at}/app.zip"), &format!("http://{at}/there")] {
        let bundle = fetched(source, &wanted(None)).await.expect(source);
        assert_eq!(std::fs::read_to_string(&bundle.path).unwrap(), CONTENT);
        let (path, sha256) = (bundle.path.clone(), bundle.sha256.clone().unwrap());
        drop(bundle);
        assert!(!path.exists(), "the download is removed");
        fetched(source, &wanted(Some(&sha256))).await.expect("the right checksum");
        let error = fetched(source, &wanted(Some(SHA256))).await.expect_err("the wrong checksum");
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.what.contains(&sha256), "{}", error.what);
    }
    assert_eq!(
        std::fs::metadata(fetched(&format!("http://{at}/exact"), &wanted(None)).await.unwrap().path)
            .unwrap()
            .len(),
        1000
    );
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart() {
    let at = site().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (path, exit, words) in [
        (format!("http://{at}/missing"), Exit::NotReady, "answered 404"),
        (format!("http://{at}/closed"), Exit::NotReady, "answered 403"),
        (format!("http://{at}/busy"), Exit::NotReady, "answered 503"),
        (format!("http://{at}/round"), Exit::NotReady, "leads from one address to the next"),
        (format!("http://{at}/nowhere"), Exit::NotReady, "but not where"),
        (format!("http://{at}/file"), Exit::Refused, "neither http nor https"),
        (format!("http://{at}/endless"), Exit::Refused, "larger than 1000 bytes"),
        (format!("http://{at}/large"), Exit::Refused, "larger than 1000 bytes"),
        (format!("http://{at}/page"), Exit::NotReady, "is a web page"),
        (format!("http://{at}/cut"), Exit::NotReady, "closed the connection"),
        (format!("http://{closed}/app.zip"), Exit::NotReady, "nothing listens"),
        ("http://10.255.255.1/app.zip".to_owned(), Exit::Refused, "not encrypted"),
        ("/nowhere/app.zip".to_owned(), Exit::NotReady, "cannot read /nowhere/app.zip"),
    ] {
        let error = fetched(&path, &wanted(None)).await.expect_err(&path);
        assert!(error.exit == exit && error.what.contains(words), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_of_this_machine_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.zip");
    std::fs::write(&file, CONTENT).unwrap();
    let source = file.to_str().unwrap();
    assert_eq!(fetched(source, &wanted(None)).await.unwrap().path, file);
    assert_eq!(fetched(source, &wanted(Some(SHA256))).await.expect_err("another file").exit, Exit::Refused);
    let error = fetched(dir.path().to_str().unwrap(), &wanted(Some(SHA256))).await.expect_err("a directory");
    assert_eq!(error.exit, Exit::Usage);
    assert!(file.exists());
}

/// GitHub's REST interface, and the other server that it sends people to for the files. What each was told.
async fn github(digest: &str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = |told: &Arc<Mutex<Vec<String>>>, who: &'static str| {
        let told = Arc::clone(told);
        move |headers: &HeaderMap| {
            let token =
                headers.get(header::AUTHORIZATION).map_or("no token", |value| value.to_str().unwrap());
            told.lock().unwrap().push(format!("{who}: {token}"));
        }
    };
    let heard = hear(&told, "files");
    let files = serve(Router::new().route(
        "/app.zip",
        get(move |headers: HeaderMap| async move {
            heard(&headers);
            CONTENT
        }),
    ))
    .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let release = serde_json::json!({"tag_name": "v1.0.0", "assets": [
        {"name": "app.zip", "url": format!("http://{at}/repos/o/r/releases/assets/1"), "digest": digest},
        {"name": "notes.txt", "url": format!("http://{at}/repos/o/r/releases/assets/2"), "digest": null},
    ]});
    let latest = release.clone();
    let heard = hear(&told, "github");
    let router = Router::new()
        .route("/repos/o/r/releases/latest", get(move || async move { axum::Json(latest) }))
        .route("/repos/o/r/releases/tags/v1.0.0", get(move || async move { axum::Json(release) }))
        .route(
            "/repos/o/r/releases/assets/1",
            get(move |headers: HeaderMap| async move {
                heard(&headers);
                assert_eq!(headers[header::ACCEPT], "application/octet-stream");
                Redirect::temporary(&format!("http://{files}/app.zip?signature=hush"))
            }),
        )
        .route(
            "/repos/o/limited/releases/latest",
            get(|| async { (StatusCode::FORBIDDEN, [("x-ratelimit-remaining", "0")]).into_response() }),
        );
    tokio::spawn(async move { axum::serve(listener, router).await });
    (at, told)
}

#[tokio::test]
async fn an_asset_of_a_release_is_checked_and_the_token_stays_at_github() {
    let sha256 = {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), CONTENT).unwrap();
        fetched("s3://b/path/app.zip", &wanted(None)).await.unwrap().sha256.unwrap()
    };
    let (at, told) = github(&format!("sha256:{sha256}")).await;
    let variable = |name: &str| match name {
        "GITHUB_API_URL" => Some(format!("http://{at}")),
        "GITHUB_TOKEN" => Some("hush".to_owned()),
        _ => None,
    };
    let wanted = Wanted { most: 1000, ..Wanted::new(None, variable).unwrap() };
    for source in ["github:o/r", "github:o/r@v1.0.0", "github:o/r@v1.0.0:app.zip"] {
        let bundle = fetched(source, &wanted).await.expect(source);
        assert_eq!(bundle.sha256.as_deref(), Some(sha256.as_str()));
        assert_eq!(bundle.from, source);
    }
    assert_eq!(told.lock().unwrap()[..2], ["github: Bearer hush", "files: no token"]);
    for (source, words) in [
        ("github:o/r@v2", "no release `v2`"),
        ("github:o/other", "no release of o/other"),
        ("github:o/limited", "asked too often"),
        ("github:o/r:other.zip", "has no file `other.zip`"),
    ] {
        let error = fetched(source, &wanted).await.expect_err(source);
        assert!(error.what.contains(words), "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let (at, _) = github(&format!("sha256:{SHA256}")).await;
    let variable = |name: &str| (name == "GITHUB_API_URL").then(|| format!("http://{at}"));
    let wanted = Wanted { most: 1000, ..Wanted::new(None, variable).unwrap() };
    let error = fetched("github:o/r", &wanted).await.expect_err("GitHub says another checksum");
    assert_eq!(error.exit, Exit::Refused);
}
