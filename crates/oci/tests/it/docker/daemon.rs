//! A Docker daemon in a network of its own, so that the machine's stays as it is.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::judge::{attempt, missing, run};

/// Debian's client: a machine may carry another one that wants plugins.
const CLIENT: &str = "/usr/bin/docker";

pub(crate) struct Docker {
    daemon: Child,
    dir: PathBuf,
    namespace: String,
}

impl Docker {
    pub(crate) fn start() -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "this test runs a Docker daemon: run it as root, or leave it out with --skip docker::"
        );
        assert!(Path::new(CLIENT).exists(), "{CLIENT} is missing; {}", missing());
        let dir = tempfile::Builder::new().prefix("oci-docker-").tempdir().unwrap().keep();
        let namespace = dir.file_name().unwrap().to_str().unwrap().to_owned();
        run("ip", &["netns", "add", &namespace]);
        let log = File::create(dir.join("log")).unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{namespace}"))
            .arg("dockerd")
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .arg("--host")
            .arg(format!("unix://{}", dir.join("socket").display()))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut docker = Self { daemon, dir, namespace };
        let deadline = Instant::now() + Duration::from_secs(60);
        while docker.attempt(&["info"]).is_err() {
            let ended = docker.daemon.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "no dockerd: {}", docker.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        docker
    }

    /// Runs the client; returns what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.attempt(args).unwrap_or_else(|said| panic!("docker {}: {said}\n{}", args.join(" "), self.log()))
    }

    fn attempt(&self, args: &[&str]) -> Result<String, String> {
        let host = format!("unix://{}", self.dir.join("socket").display());
        attempt("timeout", &[&["60", CLIENT, "--host", &host], args].concat())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.daemon);
        // With TERM it ends containerd and the containers, too.
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.daemon.wait();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mount in below.filter(|mount| Path::new(mount).starts_with(&self.dir)) {
            let _ = attempt("umount", &[mount]);
        }
        let _ = attempt("ip", &["netns", "delete", &self.namespace]);
        let _ = fs::remove_dir_all(&self.dir);
    }
}
