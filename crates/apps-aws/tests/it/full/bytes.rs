//! Real bytes: a server of S3 (s3s-fs) that keeps objects as files and checks signatures, checksums and conditions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apps::deployer::Bucket as _;
use apps_aws::{Bundles, Flags, Settings};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use finding::Exit;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

use crate::app::{Account, App, BUCKET, rollback, sdk, sha256, undeploy};
use testbed_aws::Fault;

/// A server of S3 whose objects are files of a directory, for the keys `test` and `test`. It ends with the test.
struct Store {
    dir: tempfile::TempDir,
    port: u16,
}

impl Store {
    async fn start(bucket: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(bucket)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("test", "test"));
        let service = service.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { dir, port }
    }

    fn file(&self, bucket: &str, key: &str) -> PathBuf {
        self.dir.path().join(bucket).join(key)
    }

    /// The keys of a bucket, without the server's own files.
    fn keys(&self, bucket: &str) -> Vec<String> {
        let root = self.dir.path().join(bucket);
        let (mut keys, mut waiting) = (Vec::new(), vec![root.clone()]);
        while let Some(dir) = waiting.pop() {
            for entry in std::fs::read_dir(dir).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() { waiting.push(path) } else { keys.push(key(&root, &path)) }
            }
        }
        keys.sort();
        keys
    }
}

fn key(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
}

fn settings(port: u16) -> Settings {
    let variables = [
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
    ];
    let variables: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value)).into();
    Settings::read(&Flags::default(), &variables).unwrap()
}

/// Bytes that no text would be.
fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn every_byte_of_a_bundle_arrives_is_replaced_comes_back_and_goes() {
    let account = Account::ready().await;
    let store = Store::start(BUCKET).await;
    account.proxy.store(store.port, store.dir.path());
    let aws = &account.aws;
    let mut app = App::new("com.example.bytes", "1.0.0", &[], &[]);
    app.functions = vec![("main".into(), noise(9 << 20, 1)), ("small".into(), vec![0])];
    app.files = vec![
        ("photo.png".into(), noise(3 << 20, 2)),
        ("img/empty".into(), Vec::new()),
        ("a b".into(), noise(1, 3)),
    ];
    let stands = |app: &App| {
        for (name, bytes) in &app.files {
            let key = format!("static/com.example.bytes_1.0.0_app/{}", name.replace(' ', "-"));
            assert_eq!(std::fs::read(store.file(BUCKET, &key)).unwrap(), *bytes, "{name}");
        }
        for (name, bytes) in &app.functions {
            let kept = store.file(BUCKET, &format!("mainstay/apps/com.example.bytes/kept/{}", sha256(bytes)));
            assert_eq!(std::fs::read(kept).unwrap(), *bytes, "{name}");
        }
    };
    app.deploy(aws).await.unwrap();
    stands(&app);
    assert_eq!(app.deploy(aws).await.unwrap().changes, 0);
    let first = app.clone();
    app.functions[0].1 = noise(9 << 20, 4);
    app.files[0].1 = noise(3 << 20, 5);
    app.files.remove(1);
    app.deploy(aws).await.unwrap();
    stands(&app);
    rollback(aws, &app.id).await.unwrap();
    stands(&first);
    undeploy(aws, &app.id, "1.0.0").await.unwrap();
    let left: Vec<String> = store.keys(BUCKET).into_iter().filter(|key| !key.starts_with('.')).collect();
    assert_eq!(left, [""; 0]);
}

/// The last byte of an upload changes on its way: S3 refuses it, and nothing is left.
#[tokio::test]
async fn what_is_corrupted_on_its_way_is_refused_and_undone() {
    let account = Account::ready().await;
    let store = Store::start(BUCKET).await;
    account.proxy.store(store.port, store.dir.path());
    let app =
        App::new("com.example.bytes", "1.0.0", &[("main", "the code of a function")], &[("a.txt", "a")]);
    account.proxy.reset(None);
    app.deploy(&account.aws).await.unwrap();
    let is_upload =
        |call: &String| call.starts_with("PUT") && !call.contains("/mainstay/apps/com.example.bytes.json");
    let upload = account.proxy.calls().iter().position(is_upload).unwrap();
    undeploy(&account.aws, &app.id, "1.0.0").await.unwrap();
    account.proxy.reset(Some((upload, Fault::Corrupted)));
    let error = app.deploy(&account.aws).await.unwrap_err();
    assert_eq!(error.exit, Exit::Undone, "{error}");
    assert!(error.what.contains("s3:PutObject on `apps-of-tests/"), "{error}");
    let left = store.keys(BUCKET);
    assert_eq!(left.iter().filter(|key| !key.starts_with('.')).count(), 0, "{left:?}");
    account.proxy.reset(None);
    app.deploy(&account.aws).await.unwrap();
}

#[tokio::test]
async fn a_bundle_that_was_uploaded_in_parts_is_downloaded_whole() {
    let store = Store::start("bundles").await;
    let settings = settings(store.port);
    let bundles = Bundles::new(&settings, "bundles").await.unwrap();
    let config = sdk(store.port, ("test", "test")).await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(config);
    let bytes = noise((12 << 20) + 7, 9);
    let started = s3.create_multipart_upload().bucket("bundles").key("team/big.zip").send().await.unwrap();
    let id = started.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(bytes.chunks(5 << 20)) {
        let sent = s3.upload_part().bucket("bundles").key("team/big.zip").upload_id(id).part_number(number);
        let sent = sent.body(ByteStream::from(part.to_vec())).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(sent.e_tag().unwrap()).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let completed = s3.complete_multipart_upload().bucket("bundles").key("team/big.zip").upload_id(id);
    completed.multipart_upload(parts).send().await.unwrap();

    let page = bundles.list("team/", None).await.unwrap();
    let object = page.objects.first().unwrap();
    assert_eq!((object.key.as_str(), object.size), ("team/big.zip", bytes.len() as u64));
    let dir = tempfile::tempdir().unwrap();
    bundles.download(object, &dir.path().join("whole"), 20 << 20).await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("whole")).unwrap(), bytes);
}

#[tokio::test]
async fn a_shared_object_is_written_once_by_those_who_expect_the_same() {
    let store = Store::start("bundles").await;
    let bundles = Bundles::new(&settings(store.port), "bundles").await.unwrap();
    let write = async |text: &str, expected: Option<&str>| {
        bundles.write_shared("mainstay/record.json", text.into(), expected).await.unwrap()
    };
    assert_eq!(write("nobody's", Some("\"0123\"")).await, None);
    let first = write("first", None).await.expect("there was none");
    assert_eq!(write("another first", None).await, None);
    let (one, other) = tokio::join!(write("second", Some(&first)), write("late", Some("\"4567\"")));
    assert!(one.is_some() && other.is_none(), "{one:?} {other:?}");
    assert_eq!(std::fs::read(store.file("bundles", "mainstay/record.json")).unwrap(), b"second");
}
