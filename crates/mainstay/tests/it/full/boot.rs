//! The start at boot, on machines that systemd runs: containers of systemd-nspawn, with this machine's programs and files of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{MAINSTAY, Ran};

/// Where the program is on such a machine.
const PROGRAM: &str = "/opt/mainstay";

/// What it takes of this machine's settings: its users, and how programs are started.
const SETTINGS: [&str; 13] = [
    "passwd",
    "group",
    "shadow",
    "gshadow",
    "nsswitch.conf",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld.so.cache",
    "pam.d",
    "security",
    "login.defs",
    "alternatives",
    "hosts",
];

/// A machine of its own, from its boot until its power is cut.
struct Machine {
    dir: tempfile::TempDir,
    running: Option<(Child, u32)>,
}

fn run(command: &mut Command) -> Ran {
    command.stdin(Stdio::null()).output().expect("it runs").into()
}

impl Machine {
    /// One that has booted, with no deployment on it.
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("mainstay-boot-").tempdir().expect("a directory");
        let at = |path: &str| dir.path().join(path);
        for made in [
            "usr",
            "etc",
            "var/log/journal",
            "var/lib",
            "var/tmp",
            "root",
            "home",
            "tmp",
            "run",
            "proc",
            "sys",
            "dev",
            "opt",
            "srv",
        ] {
            fs::create_dir_all(at(made)).expect("a directory");
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), at(link)).expect("a link");
        }
        run(Command::new("chmod").args(["755"]).arg(dir.path())).expect(0);
        run(Command::new("chmod").args(["1777"]).args([at("tmp"), at("var/tmp")])).expect(0);
        let settings =
            SETTINGS.map(|name| Path::new("/etc").join(name)).into_iter().filter(|path| path.exists());
        run(Command::new("cp").arg("--archive").args(settings).arg(at("etc"))).expect(0);
        fs::copy("/usr/lib/os-release", at("etc/os-release")).expect("os-release");
        // A machine that is not at its first boot.
        fs::write(at("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").expect("written");
        fs::write(at("etc/hostname"), "boot\n").expect("written");
        fs::write(at("opt/mainstay"), "").expect("a place for the program");
        let mut machine = Self { dir, running: None };
        machine.boot();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    fn console(&self) -> PathBuf {
        self.dir.path().with_extension("console")
    }

    /// Switches it on, and waits until systemd has started everything but what fails.
    fn boot(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let console = fs::File::create(self.console()).expect("a file");
        let errors = console.try_clone().expect("a descriptor");
        let nspawn = Command::new("systemd-nspawn")
            .args([
                "--boot",
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--link-journal=no",
                "--console=pipe",
            ])
            .arg("--directory")
            .arg(self.dir.path())
            .arg("--bind-ro=/usr")
            .arg(format!("--bind-ro={MAINSTAY}:{PROGRAM}"))
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(errors)
            .spawn()
            .expect("systemd-nspawn runs");
        let id = nspawn.id();
        self.running = Some((nspawn, 0));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ended = self.running.as_mut().and_then(|(nspawn, _)| nspawn.try_wait().expect("waited"));
            let said = || fs::read_to_string(self.console()).unwrap_or_default();
            assert!(ended.is_none(), "the machine does not boot ({ended:?}): {}", said());
            assert!(Instant::now() < deadline, "the machine does not boot in time: {}", said());
            if let Some(leader) = child_of(id) {
                self.running.as_mut().expect("it runs").1 = leader;
                let state = self.run(&["systemctl", "is-system-running"]).stdout;
                if ["running\n", "degraded\n"].contains(&&*state) {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until it has switched itself off, or is about to boot again.
    fn off(&mut self) {
        let (mut nspawn, _) = self.running.take().expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(30);
        while nspawn.try_wait().expect("waited").is_none() {
            assert!(Instant::now() < deadline, "it does not switch off");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every process ends at once.
    fn cut_power(&mut self) {
        if let Some((mut nspawn, leader)) = self.running.take() {
            if leader != 0 {
                let _ = Command::new("kill").args(["-9", &leader.to_string()]).status();
            }
            std::thread::sleep(Duration::from_millis(200));
            let _ = nspawn.kill();
            let _ = nspawn.wait();
        }
    }

    /// Runs a command on it, as root.
    fn run(&self, words: &[&str]) -> Ran {
        let leader = self.running.as_ref().expect("it runs").1.to_string();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
        run(Command::new("nsenter")
            .args([
                "--target",
                &leader,
                "--all",
                "env",
                "--ignore-environment",
                &format!("PATH={path}"),
                "HOME=/root",
            ])
            .args(words))
    }

    fn mainstay(&self, dir: &str, words: &[&str]) -> Ran {
        self.run(&[&[PROGRAM, "--dir", dir], words].concat())
    }

    fn status(&self, dir: &str) -> Value {
        self.mainstay(dir, &["status", "--json"]).expect(0).json()
    }

    /// A property of a unit.
    fn property(&self, unit: &str, name: &str) -> String {
        let shown = self.run(&["systemctl", "show", "--value", "--property", name, unit]).expect(0);
        shown.stdout.trim().to_owned()
    }

    /// Waits until the deployment is up and verified, without a command that changes anything.
    fn comes_up(&self, dir: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let checked = self.mainstay(dir, &["status", "--check"]);
            if checked.code == 0 {
                return;
            }
            if Instant::now() > deadline {
                let journal = self.run(&["journalctl", "--no-pager", "--lines=60"]).stdout;
                panic!("it does not come up: {}\n{}\n{journal}", checked.stdout, checked.stderr);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Whether any process of the deployment runs.
    fn runs_anything(&self, dir: &str) -> bool {
        self.run(&["pgrep", "--full", &format!("{dir}/")]).code == 0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut_power();
        let _ = fs::remove_file(self.console());
    }
}

/// The first child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_deployment_comes_back_after_a_restart_and_after_a_power_cut_and_nothing_acknowledged_is_lost() {
    let mut machine = Machine::new();
    let dir = "/srv/chat";
    let up = machine.mainstay(dir, &["up", "--listen", "127.0.0.1:80"]).expect(0);
    assert!(
        up.stdout.contains("At boot        yes: systemd starts mainstay-chat.service\n"),
        "{}",
        up.stdout
    );
    assert_eq!(machine.property("mainstay-chat", "ActiveState"), "active");
    // Supervised from its first second, and its own log is in the journal, too.
    assert_eq!(
        machine.property("mainstay-chat", "MainPID"),
        machine.status(dir)["agent"]["agent_pid"].to_string()
    );
    let journal = machine.run(&["journalctl", "--unit", "mainstay-chat", "--no-pager"]).expect(0).stdout;
    assert!(journal.contains("the edge is open"), "{journal}");
    // A second `up` has nothing to do.
    assert!(machine.mainstay(dir, &["up"]).expect(0).stdout.contains("nothing had to be changed"));

    machine.run(&["systemctl", "--no-block", "reboot"]).expect(0);
    machine.off();
    machine.boot();
    machine.comes_up(dir);
    let history = machine.mainstay(dir, &["history", "--json"]).expect(0).json().to_string();
    assert!(history.contains("systemd started it"), "{history}");

    machine.mainstay(dir, &["admin", "create", "jo", "--email", "jo@example.com"]).expect(0);
    machine.cut_power();
    machine.boot();
    machine.comes_up(dir);
    assert!(machine.mainstay(dir, &["admin", "list"]).expect(0).stdout.contains("jo@example.com"));

    // What a power cut interrupts is finished at the next boot.
    let killed = machine.mainstay(dir, &["down"]).expect(0);
    assert!(killed.stdout.contains("It comes back when the machine starts"), "{}", killed.stdout);
    machine
        .mainstay(dir, &["up", "--site-url", "http://chat.example.com", "--inject-kill", "agent:after"])
        .expect(-9);
    machine.cut_power();
    machine.boot();
    machine.comes_up(dir);
    assert_eq!(machine.status(dir)["url"], "http://chat.example.com");
}

#[test]
fn systemd_watches_the_agent_and_the_commands_work_together_with_it() {
    let machine = Machine::new();
    let (dir, unit) = ("/srv/chat", "mainstay-chat");
    machine.mainstay(dir, &["up"]).expect(0);
    // A drop-in counts, and stays.
    let drop_in = machine.path("etc/systemd/system/mainstay-chat.service.d/watchdog.conf");
    fs::create_dir_all(drop_in.parent().expect("a directory")).expect("a directory");
    // With the old control groups, systemd may not notice that the last killed process is gone, and waits as long as a stop may take.
    fs::write(&drop_in, "[Service]\nWatchdogSec=2\nRestartSec=100ms\nTimeoutStopSec=5\n").expect("written");
    machine.run(&["systemctl", "daemon-reload"]).expect(0);
    machine.mainstay(dir, &["restart", "agent"]).expect(0);
    assert_eq!(machine.property(unit, "WatchdogUSec"), "2s");

    for signal in ["-9", "-STOP"] {
        let agent = machine.property(unit, "MainPID");
        machine.run(&["kill", signal, &agent]).expect(0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while machine.property(unit, "MainPID") == agent {
            assert!(Instant::now() < deadline, "systemd does not replace an agent after kill {signal}");
            std::thread::sleep(Duration::from_millis(100));
        }
        machine.comes_up(dir);
    }

    machine.run(&["systemctl", "stop", unit]).expect(0);
    assert_eq!(
        (machine.property(unit, "Result"), machine.property(unit, "ActiveState")),
        ("success".into(), "inactive".into())
    );
    assert!(!machine.runs_anything(dir));
    // It is started when it is verified.
    machine.run(&["systemctl", "start", unit]).expect(0);
    machine.mainstay(dir, &["status", "--check"]).expect(0);

    // `down` also stops an agent that hangs, and systemd does not start another one.
    let agent = machine.property(unit, "MainPID");
    machine.run(&["kill", "-STOP", &agent]).expect(0);
    let down = machine.mainstay(dir, &["down"]).expect(0);
    assert!(
        down.stdout.contains("`systemctl disable mainstay-chat.service` prevents that"),
        "{}",
        down.stdout
    );
    std::thread::sleep(Duration::from_secs(1));
    assert!(!machine.runs_anything(dir));
    assert!(["inactive", "failed"].contains(&&*machine.property(unit, "ActiveState")));

    // Another deployment has a unit of its own. It is refused once, and remembered.
    machine.mainstay("/srv/other", &["up", "--listen", "127.0.0.1:8066", "--no-boot"]).expect(0);
    assert_eq!(machine.status("/srv/other")["boot"]["why"], "`boot = false` in mainstay.toml");
    machine.mainstay("/srv/other", &["up", "--boot"]).expect(0);
    let boot = &machine.status("/srv/other")["boot"];
    assert_eq!((&boot["starts"], &boot["unit"]), (&true.into(), &"mainstay-other.service".into()));
    // The agent that ran already is systemd's after a restart of it.
    assert!(
        boot["hint"].as_str().is_some_and(|hint| hint.contains("`mainstay --dir /srv/other restart agent`")),
        "{boot}"
    );
    machine.mainstay("/srv/other", &["restart", "agent"]).expect(0);
    assert_eq!(machine.property("mainstay-other", "ActiveState"), "active");
    machine.mainstay("/srv/other", &["uninstall", "--yes"]).expect(0);
    assert_eq!(machine.property("mainstay-other", "LoadState"), "not-found");
    assert!(!machine.path("etc/systemd/system/mainstay-other.service").exists());

    // A unit that somebody has edited stays, and is told of.
    let file = machine.path("etc/systemd/system/mainstay-chat.service");
    let edited = fs::read_to_string(&file).expect("the unit").replace("RestartSec=2", "RestartSec=3");
    fs::write(&file, &edited).expect("written");
    let up = machine.mainstay(dir, &["up"]).expect(0);
    assert!(up.stdout.contains("has been edited, so Mainstay leaves it as it is"), "{}", up.stdout);
    assert_eq!(fs::read_to_string(&file).expect("the unit"), edited);
    machine.run(&["systemctl", "disable", "--quiet", unit]).expect(0);
    assert_eq!(machine.status(dir)["boot"]["starts"], false);
    machine.mainstay(dir, &["uninstall", "--yes"]).expect(0);
    assert!(!file.exists() && drop_in.exists());
}

/// What the variables of an `up` say holds at boot, too; a first installation that a power cut interrupts is finished.
#[test]
fn an_interrupted_installation_is_finished_at_boot_with_the_variables_that_it_had() {
    let mut machine = Machine::new();
    let dir = "/var/lib/mainstay";
    let name = "MM_TEAMSETTINGS_SITENAME=Jo's \"5%\" $HOME";
    let up = |kill: &[&str]| machine.run(&[&["env", name, PROGRAM, "--dir", dir, "up"], kill].concat());
    for kill in ["unit:before", "unit:after"] {
        up(&["--inject-kill", kill]).expect(-9);
    }
    up(&["--inject-failure", "agent:before"]).expect(6);
    assert_eq!(machine.property("mainstay", "LoadState"), "not-found");
    up(&["--inject-kill", "server:after"]).expect(-9);
    machine.cut_power();
    machine.boot();
    machine.comes_up(dir);
    let config =
        fs::read_to_string(machine.path("/var/lib/mainstay/config/config.json")).expect("config.json");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["TeamSettings"]["SiteName"], name.split_once('=').expect("a value").1);
    // Without its disk nothing begins anew.
    machine.mainstay(dir, &["down"]).expect(0);
    fs::rename(machine.path(dir), machine.path("/var/lib/elsewhere")).expect("moved");
    machine.run(&["systemctl", "start", "mainstay"]).expect(1);
    assert!(!machine.path("/var/lib/mainstay/state.db").exists());
    machine.run(&["systemctl", "stop", "mainstay"]).expect(0);
}

#[test]
fn a_user_without_root_gets_a_unit_of_the_own_manager() {
    let mut machine = Machine::new();
    machine.run(&["useradd", "--create-home", "--uid", "4711", "jo"]).expect(0);
    let as_jo = |machine: &Machine, words: &[&str]| {
        let jo =
            ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "env", "HOME=/home/jo", "USER=jo"];
        machine.run(&[&jo[..], words].concat())
    };
    let up = as_jo(&machine, &[PROGRAM, "up"]).expect(0);
    assert!(up.stdout.contains("At boot        no: systemd runs no services for this user"), "{}", up.stdout);
    as_jo(&machine, &[PROGRAM, "down"]).expect(0);
    machine.run(&["systemctl", "start", "user@4711.service"]).expect(0);
    let up = as_jo(&machine, &[PROGRAM, "up"]).expect(0);
    assert!(
        up.stdout.contains("systemd starts mainstay.service when you sign in; `sudo loginctl enable-linger"),
        "{}",
        up.stdout
    );
    fs::create_dir_all(machine.path("var/lib/systemd/linger")).expect("a directory");
    fs::write(machine.path("var/lib/systemd/linger/jo"), "").expect("written");
    machine.cut_power();
    machine.boot();
    let deadline = Instant::now() + Duration::from_secs(30);
    while as_jo(&machine, &[PROGRAM, "status", "--check"]).code != 0 {
        assert!(Instant::now() < deadline, "{}", as_jo(&machine, &[PROGRAM, "status"]).stdout);
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(as_jo(&machine, &[PROGRAM, "status", "--json"]).expect(0).json()["boot"]["starts"], true);
}

#[test]
fn the_exposure_of_the_service_is_two_at_most() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = crate::place::Place::new();
    // With a user of its own, which counts.
    place.run(&["up", "--yes", "--listen", &format!("127.0.0.1:{}", place.port)]).expect(0);
    let unit = place.run(&["export", "systemd"]).expect(0).stdout;
    let file = dir.path().join("mainstay-chat.service");
    fs::write(&file, unit).expect("written");
    let analysed = run(Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&file));
    analysed.expect(0);
}

/// Every command of the page runs on a machine as the page describes.
#[test]
fn the_page_about_it_is_right() {
    let machine = Machine::new();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/start-at-boot.md");
    let page = fs::read_to_string(page).expect("the page");
    machine.run(&[PROGRAM, "up"]).expect(0);
    for crate::shown::Shown { line, language, text } in crate::shown::shown(&page) {
        if language != "sh" {
            continue;
        }
        let command =
            text.replacen("mainstay ", &format!("{PROGRAM} "), usize::from(text.starts_with("mainstay ")));
        let ran = machine.run(&["sh", "-c", &command]);
        assert_eq!(ran.code, 0, "start-at-boot.md:{line}: {text}\n{}{}", ran.stdout, ran.stderr);
    }
    let up = machine.run(&[PROGRAM, "up"]).expect(0);
    assert!(up.stdout.contains("At boot        yes: systemd starts mainstay.service\n"), "{}", up.stdout);
}
