//! Containers without an engine: the file system of an image in namespaces of its own. Only root makes them, as in CI.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{MAINSTAY, Ran, eventually};

/// What runs first in the new namespaces: mounts the image, as an engine does, and becomes the entrypoint.
const ENGINE: &str = r#"
set -e
ip link set lo up
mount -t tmpfs tmpfs /opt
mkdir -p /opt/mattermost /opt/mainstay/releases
mount --bind "$IMAGE" /opt/mattermost
mount --bind "$VOLUME" /opt/mattermost/data
ln -s /opt/mattermost "/opt/mainstay/releases/$RELEASE"
touch /opt/mainstay/mainstay
mount --bind "$MAINSTAY" /opt/mainstay/mainstay
echo "$LOW_PORTS" > /proc/sys/net/ipv4/ip_unprivileged_port_start
if [ "$READ_ONLY" = yes ]; then
    mount -t tmpfs -o ro tmpfs /tmp
    mount -t tmpfs -o ro tmpfs /var/tmp
    mount -t tmpfs -o ro tmpfs /run
fi
exec "$@"
"#;

/// A release as it lies in an image.
#[derive(Clone)]
pub(crate) struct Image {
    root: PathBuf,
    release: String,
}

impl Image {
    /// The built-in server of this build.
    pub(crate) fn builtin() -> Self {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        IMAGE.get_or_init(|| Self::unpacked("image")).clone()
    }

    /// The same as an earlier build would name itself.
    pub(crate) fn earlier() -> Self {
        static IMAGE: OnceLock<Image> = OnceLock::new();
        let renamed = || {
            let mut image = Self::unpacked("earlier-image");
            let file = image.root.join("release.json");
            let text = std::fs::read_to_string(&file).expect("its identity");
            let mut identity: Value = serde_json::from_str(&text).expect("JSON");
            image.release = "11.6.0+0.0.9-builtin".to_owned();
            identity["release"] = image.release.clone().into();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("a mode");
            std::fs::write(&file, identity.to_string()).expect("written");
            image
        };
        IMAGE.get_or_init(renamed).clone()
    }

    fn unpacked(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of an earlier build of this test.
        host::disk::remove_tree(&dir).expect("removed");
        std::fs::create_dir_all(&dir).expect("a directory");
        let unpacked = {
            let confining = &host::Shim { program: MAINSTAY.into(), args: vec!["confine".into()] };
            let programs = release::Programs { mainstay: MAINSTAY.as_ref(), confining, told: None };
            release::unpack(&release::Origin::Builtin, programs, &dir).expect("unpacked")
        };
        let root = unpacked.root().to_owned();
        std::fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).expect("a mode");
        std::fs::create_dir(root.join("data")).expect("the volume's place");
        Self { root, release: unpacked.id().to_string() }
    }
}

/// What survives a container.
pub(crate) struct Volume {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl Volume {
    /// As an engine makes one: root's.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("volume");
        std::fs::create_dir(&path).expect("a directory");
        Self { _dir: dir, path }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names at its top, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).expect("the volume");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// A line of `docker run`.
pub(crate) struct Run<'a> {
    image: Image,
    volume: &'a Volume,
    variables: Vec<(&'static str, String)>,
    user: Option<(u32, u32)>,
    capabilities: Option<&'static str>,
    read_only: bool,
    low_ports: u16,
}

impl<'a> Run<'a> {
    pub(crate) fn new(volume: &'a Volume) -> Self {
        Self {
            image: Image::builtin(),
            volume,
            variables: Vec::new(),
            user: None,
            capabilities: None,
            read_only: false,
            low_ports: 1024,
        }
    }

    pub(crate) fn image(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// As `--user`; engines let any user bind any port in a network of the container's own.
    pub(crate) fn user(self, uid: u32) -> Self {
        self.user_of_group(uid, uid)
    }

    /// As `--user UID:GID`.
    pub(crate) fn user_of_group(mut self, uid: u32, gid: u32) -> Self {
        self.user = Some((uid, gid));
        self.low_ports = 0;
        self
    }

    /// As `--cap-drop ALL` and a `--cap-add` for each of these.
    pub(crate) fn capabilities(mut self, left: &'static str) -> Self {
        self.capabilities = Some(left);
        self.low_ports = 0;
        self
    }

    /// As `--read-only`.
    pub(crate) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The line with the words after the image's name.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--net", "--fork", "--mount-proc"]);
        command.args(["sh", "-c", ENGINE, "sh"]);
        if let Some((uid, gid)) = self.user {
            command.arg("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
        }
        if let Some(left) = self.capabilities {
            let set = left.split(',').filter(|name| !name.is_empty()).map(|name| format!(",+{name}"));
            command.args(["setpriv".to_owned(), format!("--bounding-set=-all{}", set.collect::<String>())]);
        }
        command.args(["env", "-i", "PATH=/usr/bin:/bin", "MAINSTAY_CONTAINER=1"]);
        command.args(self.variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(["/opt/mainstay/mainstay", "entrypoint"]).args(words);
        command
            .env("IMAGE", &self.image.root)
            .env("RELEASE", &self.image.release)
            .env("VOLUME", &self.volume.path)
            .env("MAINSTAY", MAINSTAY)
            .env("LOW_PORTS", self.low_ports.to_string())
            .env("READ_ONLY", if self.read_only { "yes" } else { "no" })
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn to_end(&self, words: &[&str]) -> Ran {
        self.command(words).output().expect("unshare runs").into()
    }

    /// Starts it and waits until it says that it is up.
    pub(crate) fn up(&self, words: &[&str]) -> Container {
        let mut child =
            self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare");
        let mut stdout = BufReader::new(child.stdout.take().expect("its data"));
        let mut stderr = child.stderr.take().expect("its words");
        let talk = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut said = String::new();
        while !said.contains("\nNext:") {
            if stdout.read_line(&mut said).expect("its data") == 0 {
                let _ = child.wait();
                panic!("it ended: {said}\n{}", talk.join().expect("its words"));
            }
        }
        let rest = std::thread::spawn(move || {
            let _ = stdout.read_to_string(&mut said);
            said
        });
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Container { child, variables, stdout: Some(rest), stderr: Some(talk) }
    }
}

/// A container that is up.
pub(crate) struct Container {
    child: Child,
    variables: Vec<String>,
    stdout: Option<std::thread::JoinHandle<String>>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Container {
    /// Its process 1, as it is numbered out here.
    pub(crate) fn pid(&self) -> u32 {
        self.process_one().expect("process 1")
    }

    fn process_one(&self) -> Option<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        std::fs::read_to_string(&children).ok()?.trim().parse().ok()
    }

    /// `docker exec`: root, in all of its namespaces, with its variables.
    pub(crate) fn exec(&self, args: &[&str]) -> Ran {
        let target = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &target, "--mount", "--pid", "--net", "env", "-i"]);
        command.args(["PATH=/usr/bin:/bin", "MAINSTAY_CONTAINER=1"]).args(&self.variables);
        command.arg("/opt/mainstay/mainstay").args(args);
        command.stdin(Stdio::null()).output().expect("nsenter runs").into()
    }

    pub(crate) fn kill(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.pid().to_string()]).status();
        assert!(killed.expect("kill").success());
    }

    /// What it came to.
    pub(crate) fn ended(mut self) -> Ran {
        let status = self.child.wait().expect("it ends");
        let told = |thread: &mut Option<std::thread::JoinHandle<String>>| {
            thread.take().map(|thread| thread.join().expect("its words")).unwrap_or_default()
        };
        Ran {
            code: status.code().unwrap_or(-1),
            stdout: told(&mut self.stdout),
            stderr: told(&mut self.stderr),
        }
    }

    /// `docker stop`: it must end by itself within ten seconds.
    pub(crate) fn stop(self) -> Ran {
        let began = Instant::now();
        self.kill("-TERM");
        let ran = self.ended();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "docker would have killed it: {took:?}\n{}", ran.stderr);
        ran
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Everybody goes with process 1. `--kill-child` would not do: its signal is lost when root is given up.
        if let Some(pid) = self.process_one() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

/// Every process of the namespace of `pid`, as they are numbered out here.
pub(crate) fn processes(pid: u32) -> Vec<u32> {
    let space = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(theirs) = space(pid) else { return Vec::new() };
    let numbers = std::fs::read_dir("/proc").expect("/proc");
    let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|other| space(*other).as_ref() == Some(&theirs)).collect()
}

/// Waits until none of them lives.
pub(crate) fn all_gone(pids: &[u32]) {
    eventually("the container's processes are gone", || {
        pids.iter().all(|pid| {
            let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
            !OsStr::new(String::from_utf8_lossy(&name).trim()).eq("mainstay")
        })
    });
}

/// A file of docker-mattermost's in the volume.
pub(crate) fn upload(volume: &Volume) {
    let file = volume.path.join("teams/x/file");
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
    std::fs::write(&file, "uploaded").expect("a file");
    symlink("/etc/passwd", volume.path.join("teams/link")).expect("a link");
}
