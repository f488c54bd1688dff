//! What people see while a release is replaced: `mainstay upgrade`, and the documented manual procedure (stop the server, replace its files,
//! start it) on the same release, in one run. Then the agent, which becomes another program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testbed::signing_key::SigningKey;
use xtask::run::{Failure, output};

use crate::deployment::Deployment;
use crate::{Spread, row};

const RUNS: usize = 3;
/// How often somebody asks.
const PERIOD: Duration = Duration::from_millis(20);
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next release: it says that it is one, and is the built-in server. Its migration changes nothing.
const NEXT: &str = r#"#!/bin/sh
case "$1" in
version) printf 'Version: 11.6.0\nBuild Number: 0.2.0\nBuild Date: -\nBuild Hash: -\nBuild Enterprise Ready: false\nEdition: builtin\n' ;;
*) exec "${0%/*}/server/mattermost" "$@" ;;
esac
"#;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir()?;
    let (old, next) = releases(mainstay, dir.path())?;
    let (mut ours, mut manual, mut start, mut handover) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut failed, mut failed_by_hand, mut failed_handover) = (0, 0, 0);
    for run in 0..RUNS {
        let deployment = Deployment::empty(mainstay)?;
        deployment.up()?;
        let seen = asking(&runtime, deployment.port, || {
            deployment.run(&["upgrade", "--yes", "--json", "--release", &next.to_string_lossy()]).map(drop)
        })?;
        ours.push(seen.gap);
        failed += seen.failed;
        drop(deployment);

        let by_hand = ByHand::start(&dir.path().join(format!("manual-{run}")), &old)?;
        let mut took = 0.0;
        let seen = asking(&runtime, by_hand.port, || {
            took = by_hand.upgrade(&next)?;
            Ok(())
        })?;
        manual.push(seen.gap);
        start.push(took);
        failed_by_hand += seen.failed;
        drop(by_hand);

        let seen = self_update(&runtime, mainstay, &dir.path().join(format!("program-{run}")))?;
        handover.push(seen.gap);
        failed_handover += seen.failed;
    }
    let (ours, manual, start) = (Spread::of(ours), Spread::of(manual), Spread::of(start));
    println!("\n{:<44} {:<34} aim", "median (least to most)", "");
    row("longest gap, mainstay upgrade, ms", &ours, "start + 500");
    row("longest gap, by hand, ms", &manual, "");
    row("the server's own start, ms", &start, "");
    row("ratio of the gaps", &format!("{:>10.2}", ours.median / manual.median), "");
    row("failed requests, mainstay upgrade", &format!("{failed:>10}"), "0");
    row("failed requests, by hand", &format!("{failed_by_hand:>10}"), "");
    row("longest gap, the agent hands over, ms", &Spread::of(handover), "20 (the period)");
    row("failed requests, the agent hands over", &format!("{failed_handover:>10}"), "0");
    Ok(())
}

/// The tarballs of the built-in release and of the next one.
fn releases(mainstay: &Path, dir: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let (old, next, root) = (dir.join("old.tar.gz"), dir.join("next.tar"), dir.join("mattermost"));
    let tar = Path::new("tar");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    output(mainstay, &["release", "pack-builtin", &text(&old)])?;
    output(tar, &["-C", &text(dir), "-xf", &text(&old)])?;
    let real = root.join("bin/server");
    fs::create_dir(&real)?;
    fs::rename(root.join("bin/mattermost"), real.join("mattermost"))?;
    fs::remove_file(root.join("manifest.txt"))?;
    fs::write(root.join("bin/mattermost"), NEXT)?;
    fs::set_permissions(root.join("bin/mattermost"), fs::Permissions::from_mode(0o755))?;
    output(tar, &["-C", &text(dir), "-cf", &text(&next), "mattermost"])?;
    fs::remove_dir_all(root)?;
    Ok((old, next))
}

/// What somebody saw who asked all the time.
struct Seen {
    /// The longest time from one good answer to the next, in ms.
    gap: f64,
    /// How many requests failed.
    failed: usize,
}

/// Asks every 20 ms, each time on a new connection, while `work` is done.
fn asking(
    runtime: &tokio::runtime::Runtime,
    port: u16,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<Seen, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&stop);
    let asked = runtime.spawn(async move {
        let client =
            reqwest::Client::builder().pool_max_idle_per_host(0).timeout(Duration::from_secs(30)).build();
        let mut seen = Seen { gap: 0.0, failed: 0 };
        let Ok(client) = client else { return seen };
        let mut last = Instant::now();
        while !over.load(Ordering::Relaxed) {
            let answer = client.get(format!("http://localhost:{port}/api/v4/system/ping")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                seen.gap = seen.gap.max(last.elapsed().as_secs_f64() * 1000.0);
                last = Instant::now();
            } else {
                seen.failed += 1;
            }
            tokio::time::sleep(PERIOD).await;
        }
        seen
    });
    std::thread::sleep(Duration::from_millis(300));
    let done = work();
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let seen = runtime.block_on(asked).map_err(|error| Failure(error.to_string()))?;
    done.map(|()| seen)
}

/// A server that somebody unpacked and started by hand, as Mattermost's own pages say it.
struct ByHand {
    dir: PathBuf,
    port: u16,
    server: std::cell::RefCell<Child>,
}

impl ByHand {
    fn start(dir: &Path, release: &Path) -> Result<Self, Failure> {
        fs::create_dir(dir)?;
        unpack(release, dir)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = std::cell::RefCell::new(begin(dir, port)?);
        let by_hand = Self { dir: dir.to_owned(), port, server };
        by_hand.wait()?;
        Ok(by_hand)
    }

    /// Unpack the new release, stop the server, copy the old one aside, replace its files, start the server. How long the start took, in ms.
    fn upgrade(&self, release: &Path) -> Result<f64, Failure> {
        let beside = self.dir.join("new");
        fs::create_dir(&beside)?;
        unpack(release, &beside)?;
        let root = self.dir.join("mattermost");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut server = self.server.borrow_mut();
        output(Path::new("kill"), &[&server.id().to_string()])?;
        server.wait()?;
        let cp = Path::new("cp");
        output(cp, &["-a", &text(&root), &text(&self.dir.join("mattermost-back"))])?;
        for gone in ["bin", "client", "fonts", "i18n", "templates"] {
            let path = root.join(gone);
            if path.exists() {
                fs::remove_dir_all(path)?;
            }
        }
        // config/ and data/ stay.
        fs::remove_dir_all(beside.join("mattermost/config"))?;
        output(cp, &["-a", &text(&beside.join("mattermost/.")), &text(&root)])?;
        let began = Instant::now();
        *server = begin(&self.dir, self.port)?;
        self.wait()?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }

    fn wait(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > deadline {
                return Err(Failure(format!("the server in {} does not start", self.dir.display())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let mut server = self.server.borrow_mut();
        let _ = server.kill();
        let _ = server.wait();
    }
}

fn unpack(release: &Path, to: &Path) -> Result<(), Failure> {
    output(Path::new("tar"), &["-C", &to.to_string_lossy(), "-xf", &release.to_string_lossy()])?;
    output(Path::new("chmod"), &["-R", "u+w", &to.to_string_lossy()]).map(drop)
}

fn begin(dir: &Path, port: u16) -> Result<Child, Failure> {
    let root = dir.join("mattermost");
    let data = dir.join("data");
    fs::create_dir_all(&data)?;
    let child = Command::new(root.join("bin/mattermost"))
        .arg("server")
        .current_dir(&root)
        .env("MM_CONFIG", root.join("config/config.json"))
        .env("MM_SERVICESETTINGS_LISTENADDRESS", format!("127.0.0.1:{port}"))
        .env("MM_SERVICESETTINGS_SITEURL", format!("http://localhost:{port}"))
        .env("MM_SQLSETTINGS_DRIVERNAME", "sqlite")
        .env("MM_SQLSETTINGS_DATASOURCE", data.join("mattermost.db"))
        .env("MM_FILESETTINGS_DIRECTORY", format!("{}/", data.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// The agent becomes another build of the program: a copy with another id of its linker.
fn self_update(runtime: &tokio::runtime::Runtime, mainstay: &Path, dir: &Path) -> Result<Seen, Failure> {
    fs::create_dir(dir)?;
    let (program, newer, key) = (dir.join("mainstay"), dir.join("newer"), SigningKey::new());
    fs::copy(mainstay, &program)?;
    let mut bytes = fs::read(mainstay)?;
    let id = host::build::id(mainstay)?;
    let digit =
        |at: usize| u8::from_str_radix(id.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
    let id: Vec<u8> = (0..id.len()).step_by(2).map(digit).collect();
    let head = bytes.get(..64 * 1024).unwrap_or(&bytes);
    let at = head.windows(id.len()).position(|part| part == id);
    let at = at.ok_or_else(|| Failure("the program has no build id".to_owned()))?;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0xff;
    }
    fs::write(&newer, &bytes)?;
    fs::write(dir.join("newer.sig"), key.sign(&bytes))?;
    fs::write(dir.join("key"), key.public(0))?;
    let deployment = Deployment::empty(&program)?;
    deployment.up()?;
    deployment.want(&format!(
        "\n[self_update]\nfingerprint = \"{}\"\nsigning_key = \"{}\"\n",
        key.fingerprint(),
        dir.join("key").display()
    ))?;
    asking(runtime, deployment.port, || {
        deployment.run(&["self-update", "--json", "--from", &newer.to_string_lossy()]).map(drop)
    })
}
