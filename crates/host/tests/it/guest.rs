//! A guest reaches the network and the paths that it was given, and nothing that it started outlives it.
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::guest::{Guest, MARK, Rights, Slot};
use host::process::Command;
use host::{Exit, Log, Spawner};

use crate::actor::guest as shim;

/// A directory with `code` (to read), `work` (to write) and `secret`; everybody may enter it.
fn stage() -> (tempfile::TempDir, Slot) {
    let slot = Slot::take().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["code", "work"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    if let Some(user) = slot.user() {
        chown(dir.path().join("work"), Some(user.uid), Some(user.gid)).unwrap();
    }
    fs::write(dir.path().join("code/known"), "known").unwrap();
    fs::write(dir.path().join("secret"), "a secret").unwrap();
    fs::set_permissions(dir.path().join("secret"), Permissions::from_mode(0o644)).unwrap();
    (dir, slot)
}

fn command(dir: &Path, slot: &Slot, script: &str) -> Command {
    let path = |name: &str| -> PathBuf { dir.join(name) };
    let rights = Rights {
        read: vec![path("code")],
        write: vec![path("work")],
        memory: 256 << 20,
        file: 1 << 20,
        processes: 64,
    };
    Command {
        program: "/bin/bash".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([(MARK.to_owned(), dir.display().to_string())]),
        cwd: path("work"),
        user: slot.user(),
        log: Log::at(path("unused")),
        pid_file: Some(path("pid")),
        shim: shim().of_guest(&rights),
        stop: host::StopSignal::default(),
    }
}

/// What it prints after `> `, and how it ends.
async fn ran(dir: &Path, slot: Slot, script: &str) -> (Vec<String>, Exit) {
    let (guest, output) = {
        let command = command(dir, &slot, script);
        Guest::start(&Spawner::start().unwrap(), slot, command).await
    }
    .unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(20), guest.ended()).await.unwrap();
    let mut text = String::new();
    fs::File::from(output).read_to_string(&mut text).unwrap();
    (text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect(), exit)
}

#[tokio::test]
async fn it_reaches_what_it_was_given() {
    let (dir, slot) = stage();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        r#"cat {dir}/secret >/dev/null 2>&1 && echo "> read a secret"
ls /root /home >/dev/null 2>&1 && echo "> read homes"
echo x > {dir}/code/new 2>/dev/null && echo "> wrote where it may read"
kill -0 {this} 2>/dev/null && echo "> may signal us"
echo "> $(cat {dir}/code/known)"
echo x > {dir}/work/new && echo "> wrote"
exec 3<>/dev/tcp/127.0.0.1/{port} && echo "> connected"
exit 3"#,
        dir = dir.path().display(),
        port = tcp.local_addr().unwrap().port(),
        this = std::process::id(),
    );
    let (said, exit) = ran(dir.path(), slot, &script).await;
    assert_eq!(said, ["known", "wrote", "connected"]);
    assert_eq!(exit, Exit::Code(3));
    assert!(!dir.path().join("pid").exists());
}

#[tokio::test]
async fn what_it_started_ends_with_it_also_in_another_session() {
    let (dir, slot) = stage();
    let script = "sleep 300 & echo $! > one; setsid sleep 300 & sleep 0.1; \
                  setsid bash -c 'echo $$ > two; exec sleep 300' & while [ ! -s two ]; do sleep 0.01; done; touch ready; sleep 300";
    let command = command(dir.path(), &slot, script);
    let (guest, _output) = Guest::start(&Spawner::start().unwrap(), slot, command).await.unwrap();
    while !dir.path().join("work/ready").exists() {
        assert_eq!(guest.exit(), None);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(guest.watch().usage().memory > 0);
    let pid = |name: &str| fs::read_to_string(dir.path().join("work").join(name)).unwrap().trim().to_owned();
    let alive =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let (one, two) = (pid("one"), pid("two"));
    assert!(alive(&one) && alive(&two));
    guest.kill().await;
    assert!(!alive(&one), "a child");
    assert!(!alive(&two), "a child that left the session");
}

#[tokio::test]
async fn it_gets_no_more_memory_than_its_limit() {
    let (dir, slot) = stage();
    let (said, _) =
        ran(dir.path(), slot, r#"x=$(head -c 400000000 /dev/zero | tr '\0' a) && echo "> $(( ${#x} ))""#)
            .await;
    assert_eq!(said, Vec::<String>::new());
}
