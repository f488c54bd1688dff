//! What tests and benchmarks need beside Rust: installed when missing, never skipped.

use std::path::PathBuf;

use crate::run::{Failure, exists, run, target};

/// A program and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const BROWSER: Tool = Tool { program: "chromium", package: "chromium" };
const NODE: Tool = Tool { program: "node", package: "nodejs" };
const NPM: Tool = Tool { program: "npm", package: "npm" };
const PYTHON: Tool = Tool { program: "python3", package: "python3" };
const SQLITE: Tool = Tool { program: "sqlite3", package: "sqlite3" };
const POSTGRES: Tool = Tool { program: "/usr/lib/postgresql/15/bin/postgres", package: "postgresql-15" };
const MARIADB: Tool = Tool { program: "/usr/sbin/mariadbd", package: "mariadb-server" };
const SKOPEO: Tool = Tool { program: "skopeo", package: "skopeo" };
const UMOCI: Tool = Tool { program: "umoci", package: "umoci" };
const REGISTRY: Tool = Tool { program: "docker-registry", package: "docker-registry" };
const DOCKERD: Tool = Tool { program: "dockerd", package: "docker.io" };
const IPTABLES: Tool = Tool { program: "iptables", package: "iptables" };
const IP: Tool = Tool { program: "ip", package: "iproute2" };
const NGINX: Tool = Tool { program: "nginx", package: "nginx-light" };
const WRK: Tool = Tool { program: "wrk", package: "wrk" };

/// The two public clients that must work with the built-in server, at the versions the tests were written for.
const PYTHON_CLIENT: &str = "mattermostdriver==7.3.2";
const NODE_CLIENT: [&str; 2] = ["@mattermost/client@11.9.0", "ws@8"];

/// Where the clients of other languages are installed.
fn clients() -> PathBuf {
    target().join("clients")
}

/// Everything the tests run beside our own binary.
pub(crate) fn for_tests() -> Result<(), Failure> {
    packages(&[BROWSER, NODE, NPM, PYTHON, SQLITE, NGINX])?;
    packages(&[POSTGRES, MARIADB])?;
    packages(&[SKOPEO, UMOCI, REGISTRY, DOCKERD, IPTABLES, IP])?;
    let clients = clients();
    std::fs::create_dir_all(&clients)?;
    let venv = clients.join("python");
    if !venv.join("bin/pip").is_file() {
        // Debian's python3 has no venv of its own.
        if run("python3", &["-m", "venv", &venv.to_string_lossy()]).is_err() {
            packages(&[Tool { program: "python3-venv", package: "python3-venv" }])?;
            run("python3", &["-m", "venv", &venv.to_string_lossy()])?;
        }
    }
    let stamp = venv.join(PYTHON_CLIENT);
    if !stamp.is_file() {
        run(&venv.join("bin/pip").to_string_lossy(), &["install", "--quiet", PYTHON_CLIENT])?;
        std::fs::write(stamp, "")?;
    }
    let node = clients.join("node");
    if !node.join("node_modules/@mattermost/client").is_dir() {
        std::fs::create_dir_all(&node)?;
        let prefix = node.to_string_lossy().into_owned();
        let mut args = vec!["install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix", &prefix];
        args.extend(NODE_CLIENT);
        run("npm", &args)?;
    }
    Ok(())
}

/// What the edge's benchmark compares with.
pub(crate) fn for_edge_bench() -> Result<(), Failure> {
    packages(&[NGINX, WRK])
}

fn packages(tools: &[Tool]) -> Result<(), Failure> {
    let missing: Vec<&str> =
        tools.iter().filter(|tool| !exists(tool.program)).map(|tool| tool.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !exists("apt-get") {
        return Err(Failure(format!(
            "these are missing, and this is no Debian: {names}; install them and try again"
        )));
    }
    let install = ["install", "--yes", "--no-install-recommends", "-qq"];
    // What the package manager asks, it asks a terminal: answers are given beforehand.
    let apt = |args: &[&str]| {
        if exists("sudo") && !is_root() {
            run("sudo", &[&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], args].concat())
        } else {
            run("env", &[&["DEBIAN_FRONTEND=noninteractive", "apt-get"], args].concat())
        }
    };
    apt(&["update", "-qq"])
        .and_then(|()| apt(&[&install[..], &missing[..]].concat()))
        .map_err(|Failure(why)| Failure(format!("{why}\nthe tests need these packages: {names}")))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
