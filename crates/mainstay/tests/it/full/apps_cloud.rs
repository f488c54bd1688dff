//! The cloud deployer, and bundles of other machines: the real binary against an emulator of AWS.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::place::{Place, Ran};
use testbed_aws::Emulator;

const RECORD: &str = "/bundles/mainstay/apps-deployer/production.json";

/// What the server beside AWS has heard, and whether it answers.
#[derive(Default)]
struct Heard {
    notices: Vec<(String, Value)>,
    is_silent: bool,
    files: Vec<(String, Vec<u8>)>,
}

/// An account of AWS with a bucket of bundles; and a server for webhooks and downloads.
struct Cloud {
    emulator: Emulator,
    place: Place,
    heard: Arc<Mutex<Heard>>,
    address: String,
}

async fn hook(
    State(heard): State<Arc<Mutex<Heard>>>,
    Path(name): Path<String>,
    axum::Json(notice): axum::Json<Value>,
) -> StatusCode {
    let is_silent = {
        let mut heard = heard.lock().expect("the notices");
        heard.notices.push((name, notice));
        heard.is_silent
    };
    if is_silent {
        std::future::pending::<()>().await;
    }
    StatusCode::OK
}

async fn file(
    State(heard): State<Arc<Mutex<Heard>>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Vec<u8>, StatusCode> {
    let asks_github = path.starts_with("repos/") || path.starts_with("assets/");
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != asks_github.then_some("Bearer hush-github") {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let heard = heard.lock().expect("the files");
    let found = heard.files.iter().find(|(name, _)| *name == path);
    found.map(|(_, bytes)| bytes.clone()).ok_or(StatusCode::NOT_FOUND)
}

impl Cloud {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        emulator.make_bucket("bundles").await;
        let pong = json!({"statusCode": 200, "body": r#"{"type":"ok","text":"PONG"}"#}).to_string();
        let answers = json!({"results": vec![pong; 20], "region": "eu-central-1"}).to_string();
        let path = "/moto-api/static/lambda-simple/response";
        let set = reqwest::Client::new().post(emulator.url(path)).body(answers).send().await;
        assert!(set.expect("the emulator answers").status().is_success());
        let heard = Arc::<Mutex<Heard>>::default();
        let router = Router::new().route("/hooks/{name}", post(hook)).route("/{*path}", get(file));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = router.with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let cloud = Self { emulator, place: Place::new(), heard, address };
        cloud.run(&["aws", "init"]).expect(0);
        cloud
    }

    /// `mainstay apps`, with what it needs in variables and in a file.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(&[&["apps"], args].concat());
        command.env("AWS_ENDPOINT_URL", self.emulator.url("")).env("AWS_REGION", "eu-central-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "hush-key");
        command.env("GITHUB_API_URL", &self.address).env("GITHUB_TOKEN", "hush-github");
        command.env("MattermostNotificationsHook", format!("{}/hooks/hush-good", self.address));
        command
    }

    /// Runs it; it may not print a secret.
    fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::from(self.command(args).output().expect("it runs"));
        assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{}{}", ran.stdout, ran.stderr);
        ran
    }

    fn alerts(&self) -> String {
        let file = self.place.root.with_file_name("alerts");
        std::fs::write(&file, format!("{}/hooks/hush-bad\n", self.address)).expect("a file");
        file.display().to_string()
    }

    /// A look at the bucket: the exit code, and what was seen.
    fn look(&self, more: &[&str]) -> (i32, Value) {
        let how = ["deployer", "--once", "--bucket", "bundles", "--json", "--alerts-hook", &self.alerts()];
        let ran = self.run(&[&how[..], more].concat());
        let mut documents = ran.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let seen = documents.find(|document| document.get("found").is_some()).unwrap_or_default();
        (ran.code, seen)
    }

    fn start_looking(&self) -> Child {
        let mut command = self.command(&["deployer", "--once", "--bucket", "bundles"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// The bundle of an app: its file and its SHA-256.
    fn bundle(&self, id: &str) -> (PathBuf, String) {
        let (dir, file) =
            (self.place.root.with_file_name(id), self.place.root.with_file_name(format!("{id}.zip")));
        let (app, output) = (dir.display().to_string(), file.display().to_string());
        self.run(&["init", "python", &app, "--id", id]).expect(0);
        let made = self.run(&["bundle", &app, "--output", &output, "--json"]).expect(0).json();
        (file, made["sha256"].as_str().expect("a checksum").to_owned())
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        assert_eq!(self.emulator.s3("PUT", &format!("/bundles/{key}"), bytes).await.0, 200);
    }

    async fn put_app(&self, key: &str, id: &str) {
        self.put(key, std::fs::read(self.bundle(id).0).expect("the bundle")).await;
    }

    async fn is_marked(&self, key: &str) -> bool {
        let tags = self.emulator.s3("GET", &format!("/bundles/{key}?tagging"), Vec::new()).await.1;
        let names = ["<Key>deployed_production</Key>", "<Key>deployed_production_content</Key>"];
        names.iter().all(|name| tags.contains(name))
    }

    /// What the webhooks have heard since the last time, as the webhook and the bundle.
    fn notices(&self) -> Vec<String> {
        let notices = std::mem::take(&mut self.heard.lock().expect("the notices").notices);
        let said = |(name, notice): (String, Value)| {
            let fields = notice["attachments"][0]["fields"].as_array().cloned().unwrap_or_default();
            let bundle = fields.iter().find(|field| field["title"] == "Bundle");
            format!("{name} {}", bundle.map_or("", |field| field["value"].as_str().unwrap_or_default()))
        };
        notices.into_iter().map(said).collect()
    }

    /// Ends the lease of whoever was killed: nobody waits five minutes here.
    async fn end_lease(&self) {
        let (_, text) = self.emulator.s3("GET", RECORD, Vec::new()).await;
        let mut record: Value = serde_json::from_str(&text).expect("a record");
        record["holder"] = Value::Null;
        assert_eq!(self.emulator.s3("PUT", RECORD, record.to_string().into_bytes()).await.0, 200);
    }
}

/// The keys of the bundles in a list of a pass.
fn keys(seen: &Value, list: &str) -> Vec<String> {
    let key = |one: &Value| one["key"].as_str().or_else(|| one.as_str()).unwrap_or_default().to_owned();
    seen[list].as_array().expect("a list").iter().map(key).collect()
}

async fn wait_until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_bundles_are_deployed_once_and_a_broken_one_does_not_stop_them() {
    let cloud = Cloud::start().await;
    cloud.put("a-broken.zip", b"no archive".to_vec()).await;
    cloud.put_app("team/good.zip", "com.example.good").await;
    let (code, plan) = cloud.look(&["--plan"]);
    assert_eq!((code, plan["found"].as_u64(), keys(&plan, "due").len()), (0, Some(2), 2), "{plan}");
    // Not even a lease.
    assert_eq!(cloud.emulator.s3("GET", RECORD, Vec::new()).await.0, 404);

    let (code, first) = cloud.look(&[]);
    assert_eq!(keys(&first, "deployed"), ["team/good.zip"], "{first}");
    assert_eq!(keys(&first, "failed"), ["a-broken.zip"]);
    let what = first["failed"][0]["what"].as_str().unwrap_or_default();
    assert!(what.contains("s3://bundles/a-broken.zip") && !what.contains("mainstay-bundle-"), "{what}");
    assert_eq!((Some(code.into()), code != 0), (first["failed"][0]["exit_code"].as_i64(), true), "{first}");
    assert!(cloud.is_marked("team/good.zip").await && !cloud.is_marked("a-broken.zip").await);
    let mut notices = cloud.notices();
    notices.sort();
    assert_eq!(notices, ["hush-bad a-broken.zip", "hush-good team/good.zip"]);
    assert!(cloud.run(&["list"]).expect(0).stdout.contains("com.example.good"));

    let (code, second) = cloud.look(&[]);
    assert_eq!((code, keys(&second, "deployed"), keys(&second, "failed")), (4, vec![], vec![]), "{second}");
    assert_eq!(keys(&second, "waiting"), ["a-broken.zip"]);
    assert!(cloud.notices().is_empty());
    // For another environment, everything is new.
    assert_eq!(keys(&cloud.look(&["--plan", "--environment", "staging"]).1, "due").len(), 2);

    // What replaces a broken bundle does not wait.
    cloud.put_app("a-broken.zip", "com.example.mended").await;
    let (code, third) = cloud.look(&[]);
    assert_eq!((code, keys(&third, "deployed")), (0, vec!["a-broken.zip".to_owned()]), "{third}");
    assert_eq!(cloud.notices(), ["hush-good a-broken.zip"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_take_turns_and_a_kill_loses_nothing() {
    let cloud = Cloud::start().await;
    cloud.put_app("one.zip", "com.example.one").await;
    cloud.heard.lock().expect("the notices").is_silent = true;
    let mut first = cloud.start_looking();
    wait_until("the webhook hears nothing", async || {
        !cloud.heard.lock().expect("notices").notices.is_empty()
    })
    .await;
    let busy = cloud.run(&["deployer", "--once", "--bucket", "bundles"]).expect(9);
    assert!(busy.stderr.contains("another instance deploys"), "{}", busy.stderr);
    first.kill().expect("a signal");
    first.wait().expect("it ends");
    cloud.heard.lock().expect("the notices").is_silent = false;
    // The one that was killed counts as alive until its lease ends.
    cloud.run(&["deployer", "--once", "--bucket", "bundles"]).expect(9);
    cloud.end_lease().await;
    assert_eq!(cloud.notices(), ["hush-good one.zip"]);
    // It is deployed, and nobody has answered that it heard of it: it is said again, and not deployed again.
    let (code, seen) = cloud.look(&[]);
    assert_eq!((code, keys(&seen, "deployed")), (0, vec![]), "{seen}");
    assert_eq!(cloud.notices(), ["hush-good one.zip"]);

    // Killed in the middle of a deployment: the next one completes it.
    cloud.put_app("two.zip", "com.example.two").await;
    let mut killed = cloud.start_looking();
    let record = "/mattermost-apps-bucket/mainstay/apps/com.example.two.json";
    wait_until("no deployment begins", async || cloud.emulator.s3("GET", record, Vec::new()).await.0 == 200)
        .await;
    killed.kill().expect("a signal");
    killed.wait().expect("it ends");
    cloud.end_lease().await;
    let (code, seen) = cloud.look(&[]);
    assert_eq!(code, 0, "{seen}");
    assert!(cloud.is_marked("two.zip").await);
    assert_eq!(keys(&cloud.look(&[]).1, "deployed"), Vec::<String>::new());
    assert!(cloud.notices().iter().any(|notice| notice == "hush-good two.zip"));
}

/// The two hooks and AWS as variables of a file.
#[tokio::test(flavor = "multi_thread")]
async fn everything_may_come_from_a_file_of_settings() {
    let cloud = Cloud::start().await;
    cloud.put_app("one.zip", "com.example.one").await;
    let file = cloud.place.root.with_file_name("deployer.env");
    let text = format!(
        "# the deployer\nAppsBundleBucketName=bundles\nEnvironment='staging'\nAWS_ENDPOINT_URL={}\nAWS_REGION=eu-central-1\n\
         AWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY=\"hush-key\"\nMattermostNotificationsHook={}/hooks/hush-good\n",
        cloud.emulator.url(""),
        cloud.address
    );
    std::fs::write(&file, text).expect("a file");
    let args = ["apps", "deployer", "--settings", &file.display().to_string()];
    let ran = Ran::from(cloud.place.command(&args).output().expect("it runs")).expect(0);
    assert!(
        ran.stdout.contains("1 deployed") && !ran.stderr.contains("hush"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert_eq!(cloud.notices(), ["hush-good one.zip"]);
    let tags = cloud.emulator.s3("GET", "/bundles/one.zip?tagging", Vec::new()).await.1;
    assert!(tags.contains("deployed_staging"), "{tags}");
    std::fs::write(&file, "AppsBundleBucketName=bundles\nhush\n").expect("a file");
    let ran = Ran::from(cloud.place.command(&args).output().expect("it runs")).expect(3);
    assert!(ran.stderr.contains("deployer.env:2") && !ran.stderr.contains("hush"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_comes_from_s3_a_url_and_github_and_its_checksum_counts() {
    let cloud = Cloud::start().await;
    let (file, sha256) = cloud.bundle("com.example.far");
    let bytes = std::fs::read(&file).expect("the bundle");
    cloud.put("far.zip", bytes.clone()).await;
    let asset = |digest: &str| json!({"name": "far.zip", "url": format!("{}/assets/1", cloud.address), "digest": format!("sha256:{digest}")});
    let release =
        |digest: &str| json!({"tag_name": "v1", "assets": [asset(digest)]}).to_string().into_bytes();
    let wrong = "0".repeat(64);
    cloud.heard.lock().expect("the files").files = [
        ("files/far.zip", bytes.clone()),
        ("repos/owner/repo/releases/tags/v1", release(&sha256)),
        ("repos/owner/repo/releases/latest", release(&wrong)),
        ("assets/1", bytes),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .into();
    let url = format!("{}/files/far.zip", cloud.address);
    for source in ["s3://bundles/far.zip", &url, "github:owner/repo@v1:far.zip"] {
        for command in [&["validate"][..], &["deploy", "--plan"], &["generate-terraform-data"], &["convert"]]
        {
            let ran = cloud.run(&[command, &[source, "--sha256", &sha256]].concat()).expect(0);
            assert!(ran.stdout.contains("far"), "{command:?}: {}", ran.stdout);
            let refused = cloud.run(&[command, &[source, "--sha256", &wrong]].concat()).expect(8);
            assert!(refused.stderr.contains(&sha256), "{command:?}: {}", refused.stderr);
        }
    }
    // GitHub's own checksum counts as well.
    assert!(cloud.run(&["validate", "github:owner/repo"]).expect(8).stderr.contains(&sha256));
    let missing = cloud.run(&["validate", "s3://bundles/none.zip"]).expect(4);
    assert!(missing.stderr.contains("there is no object s3://bundles/none.zip"), "{}", missing.stderr);

    // A message names what was asked for, not the file that it was downloaded to.
    cloud.put("broken.zip", b"no archive".to_vec()).await;
    for command in ["validate", "deploy", "convert", "generate-terraform-data"] {
        let broken = cloud.run(&[command, "s3://bundles/broken.zip"]);
        assert!(broken.stderr.contains("s3://bundles/broken.zip"), "{command}: {}", broken.stderr);
        assert!(!broken.stderr.contains("mainstay-bundle-"), "{command}: {}", broken.stderr);
    }

    let deployed = cloud.run(&["deploy", "s3://bundles/far.zip", "--sha256", &sha256]).expect(0);
    let next = "mainstay apps install --bundle s3://bundles/far.zip";
    assert!(deployed.stdout.contains(next), "{}", deployed.stdout);
    for source in [&url, "github:owner/repo@v1"] {
        let again = cloud.run(&["deploy", source]).expect(0);
        assert!(again.stdout.contains("unchanged"), "{source}: {}", again.stdout);
    }
}

/// The example for Kubernetes: its fields are Kubernetes's, and its command is one of ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_cron_job_of_the_examples_is_one_of_kubernetes() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let example = format!("{root}/examples/apps-deployer-cronjob.yaml");
    let python = || Command::new(format!("{root}/target/clients/python/bin/python"));
    let checked = python().args(["-m", "kubernetes_validate", "--strict", &example]).output();
    let checked = Ran::from(checked.expect("python runs")).expect(0);
    assert!(checked.stdout.contains("passed") || checked.stderr.contains("passed"), "{}", checked.stderr);
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let job =
        Ran::from(python().args(["-c", read, &example]).output().expect("python runs")).expect(0).json();
    let container = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0];
    let words = |key: &str| -> Vec<String> {
        let words = container[key].as_array().expect("words").iter();
        words.map(|word| word.as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(words("command"), ["mainstay"]);
    let cloud = Cloud::start().await;
    cloud.emulator.make_bucket("bundles.example.com").await;
    let mut args = words("args");
    assert_eq!(args.remove(0), "apps");
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--plan"]).collect();
    let mut command = cloud.command(&args);
    for variable in container["env"].as_array().expect("variables") {
        let text = |key: &str| variable[key].as_str().expect("text").to_owned();
        command.env(text("name"), text("value"));
    }
    Ran::from(command.output().expect("it runs")).expect(0);
}
