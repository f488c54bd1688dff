//! Docker loads the archive and runs the image. Needs root, and Debian's docker package.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci::{Entry, Healthcheck, ImageSpec, Layer, MATTERMOST, Meter, Owner, scaffold, write_layout};

use crate::judge::{json, oci, run, skopeo};
use crate::name;
use testbed::docker::Docker;

/// A static program that uses no crate, so that the compiler alone can build it.
#[expect(clippy::disallowed_methods, reason = "the compiler is the one that cargo uses")]
fn probe(dir: &Path) -> PathBuf {
    let program = dir.join("probe");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/full/docker/probe.rs");
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let out = program.to_str().unwrap();
    run(&compiler, &["--edition=2024", "-Ctarget-feature=+crt-static", "-o", out, source]);
    program
}

#[test]
fn docker_loads_and_runs_the_image() {
    let docker = Docker::start();
    let scratch = tempfile::tempdir().unwrap();
    let layers = [
        Layer::new(scaffold(None).unwrap()).unwrap(),
        Layer::new([
            Entry::file("/usr/bin/probe", probe(scratch.path()), 0o755, Owner::ROOT),
            Entry::directory("/opt/mattermost", 0o755, Owner::ROOT),
            Entry::directory("/opt/mattermost/data", 0o750, MATTERMOST),
        ])
        .unwrap(),
    ];
    let probe = |word: &str| vec!["/usr/bin/probe".to_owned(), word.to_owned()];
    let spec = ImageSpec {
        entrypoint: vec!["/usr/bin/probe".to_owned()],
        cmd: vec!["app:start".to_owned(), "a b".to_owned()],
        env: [("GREETING".to_owned(), "h\u{e9}llo $X".to_owned())].into(),
        exposed_ports: [(80, oci::Protocol::Tcp)].into(),
        volumes: ["/opt/mattermost/data".to_owned()].into(),
        user: MATTERMOST,
        workdir: "/opt/mattermost/data".to_owned(),
        labels: [("org.opencontainers.image.title".to_owned(), "probe".to_owned())].into(),
        stop_signal: Some("SIGKILL".to_owned()),
        healthcheck: Some(Healthcheck {
            command: probe("check"),
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(20),
            start_period: Duration::ZERO,
            retries: 3,
        }),
        ..ImageSpec::default()
    };
    let dir = scratch.path().join("image");
    let layout = write_layout(&spec, &layers, &name(), &dir, &Meter::default()).unwrap();
    let archive = scratch.path().join("image.tar");
    layout.write_archive(std::fs::File::create(&archive).unwrap()).unwrap();

    let loaded = docker.run(&["load", "--input", archive.to_str().unwrap()]);
    assert_eq!(loaded.trim(), format!("Loaded image: {}", crate::NAME));

    let seen = &json(&docker.run(&["image", "inspect", crate::NAME]))[0];
    let config = json(&skopeo(&["inspect", "--config", &oci(&dir)]));
    assert_eq!(seen["RootFS"]["Layers"], config["rootfs"]["diff_ids"]);
    assert_eq!(seen["Config"]["Healthcheck"]["Test"], serde_json::json!(["CMD", "/usr/bin/probe", "check"]));
    assert_eq!(seen["Config"]["ExposedPorts"], serde_json::json!({"80/tcp": {}}));
    assert_eq!(seen["Config"]["Labels"]["org.opencontainers.image.title"], "probe");
    assert_eq!(seen["Config"]["StopSignal"], "SIGKILL");

    let hardened = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"];
    let mounted = ["--rm", "--volume", "data:/opt/mattermost/data", crate::NAME];
    let first = docker.run(&[&["run"], &hardened[..], &mounted[..]].concat());
    let said = "args=[\"app:start\", \"a b\"]\nowner=2000:2000\ndir=/opt/mattermost/data\n\
                greeting=h\u{e9}llo $X\nruns=1\netc=true\n";
    assert_eq!(first, said);
    let second = docker.run(&[&["run"], &hardened[..], &mounted[..]].concat());
    assert_eq!(second, said.replace("runs=1", "runs=2"), "the volume persists");

    let id = docker.run(&["run", "--detach", "--network", "none", crate::NAME, "wait"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let health = docker.run(&["inspect", "--format", "{{.State.Health.Status}}", id.trim()]);
        match health.trim() {
            "healthy" => break,
            state => assert!(state == "starting" && Instant::now() < deadline, "{state}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    docker.run(&["rm", "--force", "--volumes", id.trim()]);
}
