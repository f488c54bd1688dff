//! How many calls of AWS a deployment makes, counted by an emulator, beside those of Mattermost's own tool for the same bundle.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::run::Failure;

use crate::apps::{FILES, FUNCTIONS, noise};
use crate::row;

/// What Mattermost's tool makes: every file, the role, a call for each function (two with `--update`, which asks before), the policy
/// (list, versions, document, and a new version where functions are new), the manifest.
const THEIRS_FIRST: usize = FILES + 1 + FUNCTIONS + 4 + 1;
const THEIRS_AGAIN: usize = FILES + 1 + 2 * FUNCTIONS + 3 + 1;

struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let app = dir.path().join("app");
    crate::apps::app(&app)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(deployments(mainstay, &app))
}

/// `app`: the directory of the app, whose first function is changed.
async fn deployments(mainstay: &Path, app: &Path) -> Result<(), Failure> {
    let program = Path::new("target/clients/python/bin/moto_server");
    if !program.exists() {
        let what = "the emulator of AWS is not installed: `cargo xtask test` does it";
        return Err(Failure(what.to_owned()));
    }
    let probe = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = probe.local_addr()?;
    drop(probe);
    let mut moto = Command::new(program);
    moto.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
    moto.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true").stdout(Stdio::null()).stderr(Stdio::null());
    let _emulator = Emulator(moto.spawn()?);
    let url = format!("http://{address}");
    let client = reqwest::Client::new();
    let failed = |error: reqwest::Error| Failure(format!("the emulator: {error}"));
    let began = Instant::now();
    while client.get(format!("{url}/moto-api/data.json")).send().await.is_err() {
        if began.elapsed() > Duration::from_secs(60) {
            return Err(Failure("the emulator does not answer".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let config = client.post(format!("{url}/moto-api/config")).body(r#"{"lambda":{"use_docker":false}}"#);
    config.send().await.map_err(failed)?;
    let run = |args: &[&str]| -> Result<f64, Failure> {
        let mut command = Command::new(mainstay);
        command.args(["apps"]).args(args).args(["--endpoint-url", &url, "--region", "us-east-1"]);
        command.env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE0000000").env("AWS_SECRET_ACCESS_KEY", "secret");
        let begun = Instant::now();
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(Failure(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(begun.elapsed().as_secs_f64() * 1000.0)
    };
    run(&["aws", "init"])?;
    let bundle = app.display().to_string();
    let counted = async |what: &str, theirs: usize| -> Result<(), Failure> {
        for step in ["reset-recording", "start-recording"] {
            let asked = client.post(format!("{url}/moto-api/recorder/{step}")).send().await;
            asked.and_then(reqwest::Response::error_for_status).map_err(failed)?;
        }
        let ms = run(&["deploy", &bundle, "--skip-verify"])?;
        client.post(format!("{url}/moto-api/recorder/stop-recording")).send().await.map_err(failed)?;
        let record = client.get(format!("{url}/moto-api/recorder/download-recording")).send().await;
        let record = record.map_err(failed)?.text().await.map_err(failed)?;
        let calls = record.lines().filter(|line| !line.trim().is_empty()).count();
        row(
            &format!("deploy, {what}: calls"),
            &format!("{calls:>10} in {ms:.0} ms"),
            &format!("appsctl {theirs}"),
        );
        Ok(())
    };
    counted("first", THEIRS_FIRST).await?;
    counted("unchanged", THEIRS_AGAIN).await?;
    std::fs::write(app.join("function0/bootstrap"), noise(2_000_000, 99))?;
    counted("one function changed", THEIRS_AGAIN).await
}
