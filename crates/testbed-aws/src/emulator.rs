//! moto: IAM, Lambda, S3 and STS on loopback. It ends with the test.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running emulator.
pub struct Emulator {
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// What it writes of each check of a permission, if it does.
    checks: Option<tempfile::NamedTempFile>,
}

/// A check of a permission, as the emulator made it.
#[derive(Debug, serde::Deserialize)]
pub struct Check {
    /// Who asked.
    pub user: String,
    /// The action of IAM.
    pub action: String,
    /// What it was about.
    pub resource: String,
    /// Whether the policies allowed it.
    pub allowed: bool,
}

impl Emulator {
    /// Starts it. It looks at no permission and no signature.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with variables of the emulator's own.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::run(&[installed("moto_server")], variables, None).await
    }

    /// Starts it as a stricter one, whose checks are those of AWS from [`Self::enforce`] on.
    pub async fn strict() -> Self {
        let checks = tempfile::NamedTempFile::new().unwrap();
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("moto/strict.py");
        let program = [installed("python"), launcher, checks.path().to_owned()];
        Self::run(&program, &[], Some(checks)).await
    }

    async fn run(
        program: &[PathBuf],
        variables: &[(&str, &str)],
        checks: Option<tempfile::NamedTempFile>,
    ) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("setpriv");
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true").envs(variables.iter().copied());
        command.args(["--pdeathsig", "KILL"]).args(program).args([
            "-H",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]);
        let child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let emulator = Self { child, port, checks };
        let began = Instant::now();
        while reqwest::get(emulator.url("/moto-api/data.json")).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "moto does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let config = r#"{"lambda":{"use_docker":false}}"#;
        let set =
            reqwest::Client::new().post(emulator.url("/moto-api/config")).body(config).send().await.unwrap();
        assert!(set.status().is_success());
        emulator
    }

    /// From now on it checks signatures and permissions, or no longer.
    pub async fn enforce(&self, is_strict: bool) {
        let free = if is_strict { "0" } else { "inf" };
        let asked = reqwest::Client::new().post(self.url("/moto-api/reset-auth"));
        let set = asked.header("content-type", "text/plain").body(free).send().await.unwrap();
        assert!(set.status().is_success());
    }

    /// The checks that it made, in their order.
    pub fn checks(&self) -> Vec<Check> {
        let text = std::fs::read_to_string(self.checks.as_ref().unwrap().path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks its IAM, past every client, while it enforces nothing: the body.
    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2010-05-08").extend_pairs(parameters);
        let asked = reqwest::Client::new().post(self.url("/")).body(form.finish());
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.header("Authorization", credential("iam")).send().await.unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.status());
        answer.text().await.unwrap()
    }

    /// A user with this policy alone: its access key and secret.
    pub async fn user(&self, name: &str, policy: &serde_json::Value) -> (String, String) {
        self.iam("CreateUser", &[("UserName", name)]).await;
        self.allow(name, policy).await;
        let key = self.iam("CreateAccessKey", &[("UserName", name)]).await;
        (parts(&key, "AccessKeyId").concat(), parts(&key, "SecretAccessKey").concat())
    }

    /// From now on the user may do this and nothing else.
    pub async fn allow(&self, name: &str, policy: &serde_json::Value) {
        let document = policy.to_string();
        let parameters = [("UserName", name), ("PolicyName", "page"), ("PolicyDocument", &document)];
        self.iam("PutUserPolicy", &parameters).await;
    }

    /// What every function answers from now on, that many times.
    pub async fn functions_answer(&self, answer: &str, times: usize) {
        let answers = serde_json::json!({ "results": vec![answer; times], "region": "eu-central-1" });
        let asked = reqwest::Client::new().post(self.url("/moto-api/static/lambda-simple/response"));
        assert!(asked.body(answers.to_string()).send().await.unwrap().status().is_success());
    }

    /// Asks its S3, past every client: the status and the body.
    pub async fn s3(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, String) {
        let method = method.parse().unwrap();
        let asked = reqwest::Client::new().request(method, self.url(path)).body(body);
        let answer = asked.header("Authorization", credential("s3")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks its Lambda, past every client.
    pub async fn lambda(&self, path: &str) -> serde_json::Value {
        let asked = reqwest::Client::new().get(self.url(path)).header("Authorization", credential("lambda"));
        serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    /// The bytes of an object.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let asked = reqwest::Client::new().get(self.url(path)).header("Authorization", credential("s3"));
        asked.send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// Everything of apps that it holds: objects with their content, functions, and which of them the invoke policy lets Mattermost call.
    pub async fn holds(&self, bucket: &str) -> Vec<String> {
        let mut state = Vec::new();
        for object in
            parts(&self.s3("GET", &format!("/{bucket}?list-type=2"), Vec::new()).await.1, "Contents")
        {
            let etag = parts(&object, "ETag").concat().replace("&quot;", "");
            state.push(format!("object {} {etag}", parts(&object, "Key").concat()));
        }
        for function in self.lambda("/2015-03-31/functions").await["Functions"].as_array().unwrap() {
            state.push(format!("function {}", function["FunctionName"].as_str().unwrap()));
        }
        // All of the account in one answer: documents are percent-encoded JSON.
        let policies =
            self.iam("GetAccountAuthorizationDetails", &[("Filter.member.1", "LocalManagedPolicy")]).await;
        let versions: Vec<String> =
            parts(&policies, "PolicyVersionList").iter().flat_map(|list| parts(list, "member")).collect();
        assert!(versions.len() <= 5, "{} versions of the policy", versions.len());
        for version in versions.iter().filter(|version| version.contains("<IsDefaultVersion>true<")) {
            for callable in version.split("function%3A").skip(1) {
                state.push(format!("may call {}", callable.split("%22").next().unwrap()));
            }
        }
        state.sort();
        state
    }

    /// Makes a bucket in the region of the tests.
    pub async fn make_bucket(&self, name: &str) {
        let place = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(self.s3("PUT", &format!("/{name}"), place.into()).await.0, 200);
    }

    /// The address of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// What stands between the tags of this name, each time.
fn parts(xml: &str, tag: &str) -> Vec<String> {
    let (start, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let found = xml.split(&start).skip(1).filter_map(|rest| rest.split(&end).next());
    found.map(str::to_owned).collect()
}

/// A program that `cargo xtask test` installs.
fn installed(name: &str) -> PathBuf {
    // A test's executable lies in `debug/deps` of the target directory.
    let executable = std::env::current_exe().unwrap();
    let target = executable.ancestors().nth(3).unwrap();
    let program = target.join("clients/python/bin").join(name);
    assert!(program.is_file(), "{} is missing: run `cargo xtask test` once", program.display());
    program
}

/// Names the service of a call; nobody checks the signature.
fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
    )
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
