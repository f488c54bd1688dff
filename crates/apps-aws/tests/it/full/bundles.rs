//! The bucket that bundles are put into, as an emulator of S3 has it.

use std::collections::BTreeMap;
use std::time::Duration;

use apps::deployer::{Bucket as _, Object, Tags};
use apps::source::ReadObject as _;
use apps_aws::{Bundles, Flags, Objects, Settings};
use finding::Exit;

use testbed_aws::Emulator;

const BUCKET: &str = "bundles";

async fn bucket(variables: &[(&str, &str)]) -> (Emulator, Settings, Bundles) {
    let emulator = Emulator::start_with(variables).await;
    emulator.make_bucket(BUCKET).await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ENDPOINT_URL", emulator.url("")),
    ];
    let variables: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value)).into();
    let settings = Settings::read(&Flags::default(), &variables).unwrap();
    let bundles = Bundles::new(&settings, BUCKET).await.unwrap();
    (emulator, settings, bundles)
}

async fn all(bundles: &Bundles, prefix: &str) -> (Vec<Object>, usize) {
    let (mut objects, mut pages, mut next) = (Vec::new(), 0, None);
    loop {
        let page = bundles.list(prefix, next.as_deref()).await.unwrap();
        objects.extend(page.objects);
        pages += 1;
        match page.next {
            Some(more) => next = Some(more),
            None => return (objects, pages),
        }
    }
}

#[tokio::test]
async fn every_page_of_the_bucket_is_listed() {
    let (emulator, _, bundles) = bucket(&[("MOTO_S3_DEFAULT_MAX_KEYS", "2")]).await;
    for number in 0..5 {
        emulator.s3("PUT", &format!("/{BUCKET}/team/{number}.zip"), b"bundle".to_vec()).await;
    }
    emulator.s3("PUT", &format!("/{BUCKET}/other.zip"), b"bundle".to_vec()).await;
    let (objects, pages) = all(&bundles, "team/").await;
    let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["team/0.zip", "team/1.zip", "team/2.zip", "team/3.zip", "team/4.zip"]);
    assert_eq!(pages, 3);
    let age = jiff::Timestamp::now().duration_since(objects[0].modified);
    assert!(objects[0].size == 6 && age.as_secs().abs() < 60, "{:?}", objects[0]);
}

/// XML has no character for byte 0x1b: a listing that is not encoded cannot be read.
#[tokio::test]
async fn a_key_with_any_character_is_listed_as_it_is() {
    let (emulator, _, bundles) = bucket(&[]).await;
    for key in ["a%1Bb.zip", "c%07%2B%20d.zip", "%C3%A9&%3C.zip"] {
        assert_eq!(emulator.s3("PUT", &format!("/{BUCKET}/{key}"), b"bundle".to_vec()).await.0, 200);
    }
    let (objects, _) = all(&bundles, "").await;
    let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a\u{1b}b.zip", "c\u{7}+ d.zip", "\u{e9}&<.zip"]);
    let dir = tempfile::tempdir().unwrap();
    bundles.download(&objects[0], &dir.path().join("one"), 6).await.unwrap();
    assert_eq!(bundles.tags(&objects[1].key).await.unwrap(), Some(Tags::new()));
}

#[tokio::test]
async fn a_shared_object_is_written_by_whoever_knows_what_it_holds() {
    let (_emulator, _, bundles) = bucket(&[]).await;
    let write = async |text: &str, expected: Option<&str>| {
        bundles.write_shared("mainstay/record.json", text.into(), expected).await.unwrap()
    };
    assert!(bundles.read_shared("mainstay/record.json").await.unwrap().is_none());
    // What has never been there is not what somebody expects.
    assert_eq!(write("nobody's", Some("\"0123\"")).await, None);
    let first = write("first", None).await.expect("there was none");
    assert_eq!(write("another first", None).await, None);
    let second = write("second", Some(&first)).await.expect("it is the first");
    assert_eq!(write("late", Some(&first)).await, None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let read = bundles.read_shared("mainstay/record.json").await.unwrap().expect("it is there");
    assert_eq!((read.bytes.as_slice(), read.etag), (b"second".as_slice(), second));
    // By the bucket's clock, whose answers name seconds.
    assert!(read.age >= Duration::from_secs(1) && read.age < Duration::from_secs(60), "{:?}", read.age);
}

#[tokio::test]
async fn tags_are_read_and_replaced() {
    let (emulator, _, bundles) = bucket(&[]).await;
    emulator.s3("PUT", &format!("/{BUCKET}/a b+c.zip"), b"bundle".to_vec()).await;
    let key = all(&bundles, "").await.0.remove(0).key;
    assert_eq!(bundles.tags(&key).await.unwrap(), Some(Tags::new()));
    let tags = Tags::from([
        ("deployed_production".to_owned(), "true".to_owned()),
        ("deployed_production_content".to_owned(), "0a".to_owned()),
    ]);
    bundles.set_tags(&key, &tags).await.unwrap();
    assert_eq!(bundles.tags(&key).await.unwrap(), Some(tags));
    assert_eq!(bundles.tags("gone.zip").await.unwrap(), None);
}

#[tokio::test]
async fn only_the_content_that_was_seen_is_downloaded() {
    let (emulator, settings, bundles) = bucket(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let into = |name: &str| dir.path().join(name);
    emulator.s3("PUT", &format!("/{BUCKET}/a.zip"), b"bundle".to_vec()).await;
    let seen = all(&bundles, "").await.0.remove(0);
    bundles.download(&seen, &into("one"), 6).await.unwrap();
    assert_eq!(std::fs::read(into("one")).unwrap(), b"bundle");
    let error = bundles.download(&seen, &into("two"), 5).await.expect_err("too large");
    assert_eq!(error.exit, Exit::Refused);
    emulator.s3("PUT", &format!("/{BUCKET}/a.zip"), b"another".to_vec()).await;
    let error = bundles.download(&seen, &into("three"), 100).await.expect_err("replaced");
    assert!(error.exit == Exit::NotReady && error.what.contains("was replaced"), "{error:?}");
    let objects = Objects::new(settings);
    objects.read_object(BUCKET, "a.zip", &into("four"), 100).await.unwrap();
    assert_eq!(std::fs::read(into("four")).unwrap(), b"another");
    let error = objects.read_object(BUCKET, "none.zip", &into("five"), 100).await.expect_err("none");
    assert!(error.exit == Exit::NotReady && error.what.contains("there is no object"), "{error:?}");
}
