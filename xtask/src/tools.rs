//! What tests and benchmarks need beside Rust: installed when missing, never skipped.

use std::path::{Path, PathBuf};

use xtask::run::{Failure, exists, run, target};

/// A program and the Debian package that brings it.
struct Tool {
    /// Any of these will do: a name on the path, or an absolute path.
    programs: &'static [&'static str],
    package: &'static str,
}

const BROWSER: Tool = Tool { programs: &["chromium"], package: "chromium" };
const NODE: Tool = Tool { programs: &["node"], package: "nodejs" };
const NPM: Tool = Tool { programs: &["npm"], package: "npm" };
const PYTHON: Tool = Tool { programs: &["python3"], package: "python3" };
const SQLITE: Tool = Tool { programs: &["sqlite3"], package: "sqlite3" };
/// The versions that the database tests look for.
const POSTGRES: Tool = Tool {
    programs: &[
        "/usr/lib/postgresql/18/bin/postgres",
        "/usr/lib/postgresql/17/bin/postgres",
        "/usr/lib/postgresql/16/bin/postgres",
        "/usr/lib/postgresql/15/bin/postgres",
        "/usr/local/pgsql/bin/postgres",
    ],
    package: "postgresql",
};
const MARIADB: Tool = Tool { programs: &["/usr/sbin/mariadbd"], package: "mariadb-server" };
const SKOPEO: Tool = Tool { programs: &["skopeo"], package: "skopeo" };
const UMOCI: Tool = Tool { programs: &["umoci"], package: "umoci" };
const REGISTRY: Tool = Tool { programs: &["docker-registry"], package: "docker-registry" };
const DOCKERD: Tool = Tool { programs: &["dockerd"], package: "docker.io" };
const COMPOSE: Tool = Tool { programs: &["docker-compose"], package: "docker-compose" };
const IPTABLES: Tool = Tool { programs: &["iptables"], package: "iptables" };
const IP: Tool = Tool { programs: &["ip"], package: "iproute2" };
const NGINX: Tool = Tool { programs: &["nginx"], package: "nginx-light" };
const WRK: Tool = Tool { programs: &["wrk"], package: "wrk" };

/// What comes from Python's and Node's registries, at the versions the tests were written for: two public Mattermost clients, a mail server,
/// an OAuth provider.
const PYTHON_PACKAGES: [&str; 2] = ["mattermostdriver==7.3.2", "aiosmtpd==1.4.6"];
const NODE_PACKAGES: [&str; 3] = ["@mattermost/client@11.9.0", "ws@8", "oauth2-mock-server@9.3.0"];

/// Where they are installed.
fn clients() -> PathBuf {
    target().join("clients")
}

/// Everything the tests run beside our own binary.
pub(crate) fn for_tests() -> Result<(), Failure> {
    packages(&[BROWSER, NODE, NPM, PYTHON, SQLITE, NGINX])?;
    packages(&[POSTGRES, MARIADB])?;
    packages(&[SKOPEO, UMOCI, REGISTRY, DOCKERD, COMPOSE, IPTABLES, IP])?;
    once(&clients().join("python"), &PYTHON_PACKAGES, |venv| {
        let path = venv.to_string_lossy();
        if run("python3", &["-m", "venv", &path]).is_err() {
            // Debian's python3 has no venv of its own.
            packages(&[Tool { programs: &["/usr/share/doc/python3-venv"], package: "python3-venv" }])?;
            run("python3", &["-m", "venv", &path])?;
        }
        let pip = venv.join("bin/pip");
        run(&pip.to_string_lossy(), &[&["install", "--quiet"], &PYTHON_PACKAGES[..]].concat())
    })?;
    once(&clients().join("node"), &NODE_PACKAGES, |dir| {
        let prefix = dir.to_string_lossy();
        // The provider asks for a newer Node.js than Debian's, and works with that one as well.
        let how = ["install", "--no-fund", "--no-audit", "--loglevel=error", "--engine-strict=false"];
        run("npm", &[&how[..], &["--prefix", &prefix], &NODE_PACKAGES[..]].concat())
    })
}

/// Installs packages into a directory, unless just these are there.
fn once(
    dir: &Path,
    packages: &[&str],
    install: impl Fn(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stamp = dir.join("installed");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    install(dir)?;
    Ok(std::fs::write(stamp, wanted)?)
}

/// What the edge's benchmark compares with.
pub(crate) fn for_edge_bench() -> Result<(), Failure> {
    packages(&[NGINX, WRK])
}

fn packages(tools: &[Tool]) -> Result<(), Failure> {
    let missing: Vec<&str> = tools
        .iter()
        .filter(|tool| !tool.programs.iter().any(|program| exists(program)))
        .map(|tool| tool.package)
        .collect();
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
