//! moto: IAM, Lambda, S3 and STS on loopback. It ends with the test.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running emulator.
pub(crate) struct Emulator {
    child: Child,
    pub(crate) port: u16,
}

impl Emulator {
    /// Starts it; `free` calls are answered before it looks at permissions and signatures, or all.
    pub(crate) async fn start(free: Option<u32>) -> Self {
        Self::start_with(free, &[]).await
    }

    /// The same with variables of the emulator's own.
    pub(crate) async fn start_with(free: Option<u32>, variables: &[(&str, &str)]) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let program = target.join("clients/python/bin/moto_server");
        assert!(
            program.is_file(),
            "{} is missing: run `cargo xtask test` once, which installs it",
            program.display()
        );
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("setpriv");
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true").envs(variables.iter().copied());
        command.args(["--pdeathsig", "KILL"]).arg(program).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        if let Some(free) = free {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", free.to_string());
        }
        let child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let emulator = Self { child, port };
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

    /// Asks its S3, past every client: the status and the body.
    pub(crate) async fn s3(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, String) {
        let method = method.parse().unwrap();
        let asked = reqwest::Client::new().request(method, self.url(path)).body(body);
        let credential =
            "Credential=test/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        let asked = asked.header("Authorization", format!("AWS4-HMAC-SHA256 {credential}"));
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Makes a bucket in the region of the tests.
    pub(crate) async fn make_bucket(&self, name: &str) {
        let place = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(self.s3("PUT", &format!("/{name}"), place.into()).await.0, 200);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
