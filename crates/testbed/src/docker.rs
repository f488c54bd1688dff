//! A Docker daemon in a network namespace of its own, so that it does not change the machine's network. The namespace
//! ends with the last process in it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::child::{self, Guarded};

const PACKAGES: &str = "docker.io docker-compose iptables iproute2 util-linux";

/// Debian's client. Another one that is installed may need plugins.
const CLIENT: &str = "/usr/bin/docker";

/// The longest that a `docker` command may take, in seconds.
const LONGEST: &str = "120";

/// A daemon with its own images, containers and network.
pub struct Docker {
    daemon: Guarded,
}

impl Docker {
    /// Starts a daemon, and waits until it answers.
    pub fn start() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test runs a Docker daemon: run it as root, or leave it out with --skip docker::"
        );
        let dockerd = child::program(&["/usr/sbin/dockerd", "/usr/bin/dockerd"], PACKAGES);
        let mut daemon = Guarded::new("root", "TERM", &PathBuf::from("/usr/bin/unshare"), |dir| {
            let at = |name: &str| dir.join(name).display().to_string();
            let begin = "ip link set lo up && exec \"$@\"";
            let daemon = dockerd.display().to_string();
            let mut args: Vec<String> = ["--net", "sh", "-c", begin, "sh", &daemon].map(String::from).into();
            for (flag, value) in [
                ("--data-root", at("data")),
                ("--exec-root", at("exec")),
                ("--pidfile", at("pid")),
                ("--host", format!("unix://{}", at("socket"))),
            ] {
                args.extend([flag.to_owned(), value]);
            }
            args
        });
        daemon.start();
        let docker = Self { daemon };
        let deadline = Instant::now() + PATIENCE;
        while docker.attempt(&["info"]).is_err() {
            assert!(Instant::now() < deadline, "dockerd does not answer: {}", docker.daemon.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        docker
    }

    /// The value of `DOCKER_HOST` with which a client reaches it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.daemon.dir().join("socket").display())
    }

    /// Runs a `docker` command. Returns what it printed.
    pub fn run(&self, args: &[&str]) -> String {
        self.attempt(args)
            .unwrap_or_else(|said| panic!("docker {}: {said}\n{}", args.join(" "), self.daemon.log()))
    }

    /// Runs a `docker` command. `Err` is what it printed to stderr.
    pub fn attempt(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new("timeout")
            .args([LONGEST, CLIENT])
            .args(args)
            .env("DOCKER_HOST", self.host())
            .output();
        let output = output.expect("timeout runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, refused) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() { Ok(said) } else { Err(refused + &said) }
    }

    /// Runs a program in the daemon's network namespace, where published ports are on loopback.
    pub fn inside(&self, program: &str, args: &[&str]) -> Output {
        let pid = std::fs::read_to_string(self.daemon.dir().join("pid")).expect("the daemon runs");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", pid.trim()))
            .args(["timeout", LONGEST, program])
            .args(args);
        command.env("DOCKER_HOST", self.host()).output().expect("nsenter (package util-linux) runs")
    }
}
