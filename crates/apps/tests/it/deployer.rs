//! The cloud deployer against a bucket in memory: once, in order, whatever happens.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apps::Error;
use apps::deployer::{Bucket as _, Deploy, Deployed, Deployer, Hooks, Pass, Tags};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use finding::Exit;
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::memory_bucket::MemoryBucket;

const RECORD: &str = "mainstay/apps-deployer/production.json";

/// Deploys whatever does not begin with `bad`, and remembers what.
#[derive(Default)]
struct Cloud {
    deployed: Mutex<Vec<String>>,
    slow: bool,
}

impl Cloud {
    fn all(&self) -> Vec<String> {
        self.deployed.lock().unwrap().clone()
    }
}

impl Deploy for Cloud {
    async fn deploy(&self, bundle: &Path, from: &str) -> Result<Deployed, Error> {
        assert!(from.starts_with("s3://bundles/"), "{from}");
        let text = std::fs::read_to_string(bundle).unwrap();
        if self.slow {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if text.starts_with("bad") {
            return Err(Error::new(Exit::Settings, "no manifest.json").hint("put one into it"));
        }
        self.deployed.lock().unwrap().push(text.clone());
        Ok(Deployed { app_id: text, version: "1.0.0".to_owned(), ..Deployed::default() })
    }
}

fn deployer(hooks: Hooks) -> Deployer {
    let environment = "production".parse().unwrap();
    Deployer::new(environment, String::new(), hooks, 1 << 20, std::env::temp_dir())
}

async fn pass(deployer: &mut Deployer, bucket: &MemoryBucket, cloud: &Cloud) -> Result<Pass, Error> {
    deployer.pass(bucket, cloud, &CancellationToken::new(), |_| {}).await
}

fn keys(pass: &Pass) -> Vec<&str> {
    pass.deployed.iter().map(|done| done.key.as_str()).collect()
}

#[tokio::test]
async fn what_is_new_is_deployed_once_and_its_other_tags_stay() {
    let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
    bucket.put("z.zip", b"first");
    bucket.put("a.zip", b"second");
    bucket.put("notes.txt", b"no bundle");
    bucket.put("theirs.zip", b"marked by another tool");
    bucket.tag("theirs.zip", "deployed_production", "true");
    bucket.tag("a.zip", "team", "red");
    bucket.tag("a.zip", "deployed_staging", "true");
    let mut one = deployer(Hooks::default());
    let plan = one.plan(&bucket, Timestamp::now()).await.unwrap();
    assert_eq!((plan.found, plan.due), (3, vec!["z.zip".to_owned(), "a.zip".to_owned()]));
    assert!(cloud.all().is_empty());
    let first = pass(&mut one, &bucket, &cloud).await.unwrap();
    assert_eq!((first.found, keys(&first)), (3, vec!["z.zip", "a.zip"]));
    let tags: Tags = bucket.tags_of("a.zip");
    assert_eq!(tags["team"], "red");
    assert_eq!((tags["deployed_staging"].as_str(), tags["deployed_production"].as_str()), ("true", "true"));
    // Another instance sees the same.
    let second = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert_eq!((second.found, keys(&second)), (3, vec![]));
    // The same instance does not even ask.
    bucket.calls();
    pass(&mut one, &bucket, &cloud).await.unwrap();
    let record = |verb: &str| format!("{verb} {RECORD}");
    assert_eq!(bucket.calls(), [record("read"), record("write"), "list".to_owned(), record("write")]);
    assert_eq!(cloud.all(), ["first", "second"]);
}

#[tokio::test]
async fn more_than_a_page_of_bundles_is_seen() {
    let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
    for number in 0..2050 {
        let key = format!("{number:04}.zip");
        bucket.put(&key, b"old");
        bucket.tag(&key, "deployed_production", "true");
    }
    bucket.put("9999.zip", b"new");
    let seen = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert_eq!((seen.found, keys(&seen)), (2051, vec!["9999.zip"]));
}

#[tokio::test]
async fn a_bundle_that_fails_waits_and_the_next_one_is_deployed() {
    let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
    bucket.put("a.zip", b"bad");
    bucket.put("b.zip", b"good");
    let first = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert_eq!(keys(&first), ["b.zip"]);
    assert_eq!((first.failed[0].key.as_str(), first.failed[0].exit_code), ("a.zip", Exit::Settings.code()));
    assert!(!bucket.tags_of("a.zip").contains_key("deployed_production"));
    // Another instance remembers it, and leaves it alone for now.
    let second = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert_eq!(
        (second.waiting[0].key.as_str(), second.waiting[0].what.as_str()),
        ("a.zip", "no manifest.json")
    );
    assert!(second.failed.is_empty());
    bucket.put("a.zip", b"corrected");
    let third = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert_eq!(keys(&third), ["a.zip"]);
    assert!(!bucket.text(RECORD).contains("a.zip"), "{}", bucket.text(RECORD));
}

#[tokio::test]
async fn two_instances_do_not_deploy_the_same_bundle() {
    let (bucket, cloud) = (MemoryBucket::default(), Cloud { slow: true, ..Cloud::default() });
    for number in 0..5 {
        bucket.put(&format!("{number}.zip"), format!("app{number}").as_bytes());
    }
    let (mut one, mut other) = (deployer(Hooks::default()), deployer(Hooks::default()));
    let (one, other) = tokio::join!(pass(&mut one, &bucket, &cloud), pass(&mut other, &bucket, &cloud));
    let busy = [&one, &other].into_iter().filter_map(|pass| pass.as_ref().err()).collect::<Vec<_>>();
    assert_eq!(busy.len(), 1);
    assert_eq!(busy[0].exit, Exit::Busy);
    assert_eq!(cloud.all().len(), 5);
    assert!(pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap().deployed.is_empty());
}

#[tokio::test]
async fn a_bundle_that_is_replaced_while_it_is_deployed_is_deployed_again() {
    struct Replacing<'a>(&'a MemoryBucket, Cloud);
    impl Deploy for Replacing<'_> {
        async fn deploy(&self, bundle: &Path, from: &str) -> Result<Deployed, Error> {
            if self.1.all().is_empty() {
                self.0.put("a.zip", b"new");
            }
            self.1.deploy(bundle, from).await
        }
    }
    let bucket = MemoryBucket::default();
    bucket.put("a.zip", b"old");
    let cloud = Replacing(&bucket, Cloud::default());
    for _ in 0..2 {
        let mut one = deployer(Hooks::default());
        one.pass(&bucket, &cloud, &CancellationToken::new(), |_| {}).await.unwrap();
    }
    assert_eq!(cloud.1.all(), ["old", "new"]);
}

/// However many calls an instance makes before it is killed, and whether the last one still had its effect: the next one ends the work.
#[tokio::test]
async fn an_instance_that_is_killed_at_any_call_leaves_work_that_the_next_one_ends() {
    let recorder = Recorder::default();
    let hooks =
        || Hooks { notifications: Some(recorder.address.get().unwrap().clone().into()), alerts: None };
    recorder.start().await;
    let mut ends = 0;
    for number in 0.. {
        let mut finished = 0;
        for effect in [false, true] {
            recorder.said.lock().unwrap().clear();
            let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
            bucket.put("a.zip", b"first");
            bucket.put("b.zip", b"bad");
            bucket.put("c.zip", b"third");
            bucket.fall_silent(Some((number, effect)));
            let mut killed = deployer(hooks());
            tokio::select! {
                ended = pass(&mut killed, &bucket, &cloud) => {
                    ended.unwrap();
                    finished += 1;
                }
                () = bucket.silenced() => {}
            }
            bucket.fall_silent(None);
            let at_once = pass(&mut deployer(hooks()), &bucket, &cloud).await;
            if let Err(error) = at_once {
                assert_eq!(error.exit, Exit::Busy, "{error} at call {number}");
                bucket.pass_time(300);
                pass(&mut deployer(hooks()), &bucket, &cloud).await.unwrap();
            }
            for key in ["a.zip", "c.zip"] {
                assert_eq!(bucket.tags_of(key)["deployed_production"], "true", "{key} at call {number}");
            }
            assert!(!bucket.tags_of("b.zip").contains_key("deployed_production"));
            let all = cloud.all();
            assert!(all.contains(&"first".to_owned()) && all.contains(&"third".to_owned()), "{all:?}");
            let said = recorder.said.lock().unwrap().clone();
            for key in ["a.zip", "c.zip"] {
                let about = |message: &&Value| message.to_string().contains(key);
                assert!(
                    said.iter().any(|message| about(&message)),
                    "{key} was not told of, at call {number}"
                );
            }
        }
        if finished == 2 {
            ends = number;
            break;
        }
    }
    assert!(ends > 10, "the bucket was called {ends} times");
}

/// A webhook that keeps what it hears.
#[derive(Default, Clone)]
struct Recorder {
    said: Arc<Mutex<Vec<Value>>>,
    address: Arc<std::sync::OnceLock<String>>,
    refuses: Arc<std::sync::atomic::AtomicBool>,
}

impl Recorder {
    async fn start(&self) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address.set(format!("http://{}/hooks/hush", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().route("/hooks/hush", post(hear)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

async fn hear(State(recorder): State<Recorder>, body: axum::Json<Value>) -> StatusCode {
    if recorder.refuses.load(std::sync::atomic::Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    recorder.said.lock().unwrap().push(body.0);
    StatusCode::OK
}

#[tokio::test]
async fn success_and_failure_are_told_and_told_again_when_nobody_listened() {
    let (good, bad) = (Recorder::default(), Recorder::default());
    good.start().await;
    bad.start().await;
    let hooks = || Hooks {
        notifications: Some(good.address.get().unwrap().clone().into()),
        alerts: Some(bad.address.get().unwrap().clone().into()),
    };
    let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
    bucket.put("a.zip", b"good");
    bucket.put("b.zip", b"bad");
    good.refuses.store(true, std::sync::atomic::Ordering::Relaxed);
    let first = pass(&mut deployer(hooks()), &bucket, &cloud).await.unwrap();
    assert!(first.unsaid[0].contains("503") && !first.unsaid[0].contains("hush"), "{:?}", first.unsaid);
    good.refuses.store(false, std::sync::atomic::Ordering::Relaxed);
    let second = pass(&mut deployer(hooks()), &bucket, &cloud).await.unwrap();
    assert!(second.unsaid.is_empty());
    pass(&mut deployer(hooks()), &bucket, &cloud).await.unwrap();
    let (good, bad) = (good.said.lock().unwrap().clone(), bad.said.lock().unwrap().clone());
    assert_eq!((good.len(), bad.len()), (1, 1));
    assert_eq!(good[0]["attachments"][0]["title"], "App deployed");
    assert_eq!(bad[0]["attachments"][0]["text"], "no manifest.json");
    assert!(!bucket.text(RECORD).contains("hush"));
}

#[tokio::test]
async fn an_object_without_room_for_the_mark_is_not_deployed() {
    let (bucket, cloud) = (MemoryBucket::default(), Cloud::default());
    bucket.put("a.zip", b"full");
    for number in 0..9 {
        bucket.tag("a.zip", &format!("tag{number}"), "");
    }
    let pass = pass(&mut deployer(Hooks::default()), &bucket, &cloud).await.unwrap();
    assert!(pass.failed[0].what.contains("no room"), "{}", pass.failed[0].what);
    assert!(cloud.all().is_empty());
    assert!(bucket.read_shared(RECORD).await.unwrap().is_some());
}
