//! Fetches, proves and unpacks a release of 500 MB, and compares with what an administrator types: `curl | tee >(sha256sum) | tar xz`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use release::{Arch, Cache, Catalogue, Network, Origin, Patience, Programs, Sources, Wish};
use testbed::release_site::ReleaseSite;
use testbed::signing_key::SigningKey;
use xtask::run::Failure;

use crate::image::{MB, filled, random, shell, written};
use crate::{Spread, row};

const RUNS: usize = 3;
const NAME: &str = "11.7.15-team";
/// What the plugins have more than in the other benchmark, so that the tarball has 500 MB.
const MORE: usize = 130;
const SERVER: &str =
    "#!/bin/sh\nprintf 'Version: 11.7.15\\nBuild Number: 11.7.15\\nBuild Enterprise Ready: false\\n'\n";

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    println!("making a release of 500 MB ...");
    fs::write(at("server"), SERVER)?;
    fs::set_permissions(at("server"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    written(&at("server"), &at("mattermost"))?;
    let mut random = random();
    filled(&at("mattermost/prepackaged_plugins/more.tar.gz"), MORE * MB, || random.next())?;
    shell(dir.path(), "tar -cf - mattermost | gzip -1 > release.tar.gz && rm -rf mattermost")?;
    let content = fs::read(at("release.tar.gz"))?;
    fs::remove_file(at("release.tar.gz"))?;
    let (site, key, size) = (ReleaseSite::start(), SigningKey::new(), content.len());
    let wish = wish(&site.url(), &key.fingerprint())?;
    let url = wish.url(&wish.sites[0]);
    site.put(&format!("{}.sig", url.path()), key.sign(&content));
    site.put("/pubkey.gpg", key.public(0));
    site.put(url.path(), content);

    let (mut ours, mut typed, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let script = format!("set -o pipefail; mkdir d && curl -sS {url} | tee >(sha256sum > sum) | tar xz -C d");
    for _ in 0..RUNS {
        let began = Instant::now();
        let status = Command::new("bash").args(["-c", &script]).current_dir(dir.path()).status()?;
        typed.push(began.elapsed().as_secs_f64());
        if !status.success() {
            return Err(Failure(format!("`{script}`: {status}")));
        }
        shell(dir.path(), "rm -rf d sum")?;
        let mut worker = Command::new(std::env::current_exe()?);
        worker.arg("release-worker").args([mainstay, dir.path()]).args([site.url(), key.fingerprint()]);
        let began = Instant::now();
        let mut worker = worker.spawn()?;
        let over = AtomicBool::new(false);
        let (status, most) = std::thread::scope(|scope| {
            let pid = worker.id();
            let over = &over;
            let watching = scope.spawn(move || most_resident(pid, over));
            let status = worker.wait();
            over.store(true, Ordering::Relaxed);
            (status, watching.join().unwrap_or(f64::NAN))
        });
        ours.push(began.elapsed().as_secs_f64());
        memory.push(most);
        if !status?.success() {
            return Err(Failure("the release did not come".to_owned()));
        }
        shell(dir.path(), "chmod -R u+w releases && rm -rf releases cache")?;
    }
    let (ours, typed) = (Spread::of(ours), Spread::of(typed));
    println!("\n{:<44} {:<34} aim", "median (least to most)", "");
    row("tarball, MB", &format!("{:>10.0}", size as f64 / MB as f64), "500");
    row("fetch, prove, unpack, s", &ours, "");
    row("curl | tee >(sha256sum) | tar xz, s", &typed, "");
    row("ratio of the medians", &format!("{:>10.2}", ours.median / typed.median), "<= 1.2");
    row("resident at most, MB", &Spread::of(memory), "<= 50");
    Ok(())
}

/// What is measured, in a process of its own.
pub(crate) fn work(mainstay: &Path, dir: &Path, site: &str, fingerprint: &str) -> Result<(), Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure(error.to_string());
    let wish = wish(site, fingerprint)?;
    let cache = dir.join("cache");
    let network = Network::new(&BTreeMap::new(), Patience::default()).map_err(|error| fail(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(release::fetch(&wish, &Cache::at(&cache), &network, &|_, _| {}))
        .map_err(|error| fail(&error))?;
    let releases = dir.join("releases");
    fs::create_dir(&releases)?;
    let confining = &host::Shim { program: mainstay.to_owned(), ..host::Shim::confining() };
    let programs = Programs { mainstay, confining, told: None };
    release::unpack(&Origin::Published { wish, cache }, programs, &releases).map_err(|error| fail(&error))?;
    Ok(())
}

fn wish(site: &str, fingerprint: &str) -> Result<Wish, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure(error.to_string());
    let sources = Sources {
        mirrors: vec![site.parse().map_err(|error: url::ParseError| fail(&error))?],
        fingerprint: Some(fingerprint.parse().map_err(|error: release::NotAFingerprint| fail(&error))?),
        key_file: None,
    };
    let id = NAME.parse().map_err(|error: release::ReleaseError| fail(&error))?;
    Wish::of(&id, Arch::Amd64, &Catalogue::built_in(), &sources)
        .ok_or_else(|| Failure("no address".to_owned()))
}

/// The most memory that a process has had, in MB, until it is over.
fn most_resident(pid: u32, over: &AtomicBool) -> f64 {
    let mut most = 0.0;
    while !over.load(Ordering::Relaxed) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        most = kb.map_or(most, |kb| kb / 1024.0);
        std::thread::sleep(Duration::from_millis(20));
    }
    most
}
