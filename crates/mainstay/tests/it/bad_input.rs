//! Mistakes and damage that a golden file cannot set up: see [`golden`](crate::golden) for all others.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use crate::place::{Place, is_root, processes_of};

/// Runs a command that must fail with this code and say this. It may not change anything.
fn refused(place: &Place, args: &[&str], code: i32, says: &str) {
    let before = place.names();
    let ran = place.run(args).expect(code);
    assert!(ran.stderr.contains(says), "{args:?} should say {says:?}, and says:\n{}", ran.stderr);
    assert_eq!(place.names(), before, "{args:?} changed something");
    assert!(processes_of(&place.root).is_empty(), "{args:?} left a process");
}

#[test]
fn a_port_in_use_names_its_holder() {
    let place = Place::new();
    let _holder = TcpListener::bind(("127.0.0.1", place.port)).expect("the port");
    let up = place.up(&[]).expect(4);
    assert!(
        up.stderr.contains("is taken by") && up.stderr.contains(&std::process::id().to_string()),
        "{}",
        up.stderr
    );
    assert!(!place.root.exists());
}

#[test]
fn help_is_text_even_with_json() {
    assert!(Place::new().run(&["--json", "--help"]).expect(0).stdout.contains("Usage"));
}

/// What root alone can set up; `tests/golden/directory.console` has the rest.
#[test]
fn a_directory_that_root_must_not_use_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};
    if !is_root() {
        return;
    }
    let place = Place::new();
    // Root may write everywhere except on the kernel's own file systems.
    let ran = place.run(&["up", "--dir", "/proc/mainstay"]).expect(4);
    assert!(ran.stderr.contains("/proc"), "{}", ran.stderr);
    let listen = format!("127.0.0.1:{}", place.port);
    let up = ["up", "--plan", "--listen", &listen];
    std::fs::create_dir(&place.root).expect("the directory");
    place.run(&up).expect(0);
    chown(&place.root, Some(65_534), None).expect("another owner");
    refused(&place, &up, 4, "chown root");
    chown(&place.root, Some(0), None).expect("root again");
    let above = place.root.parent().expect("a directory above");
    std::fs::set_permissions(above, PermissionsExt::from_mode(0o777)).expect("its mode");
    refused(&place, &up, 4, "chmod o-w");
    std::fs::set_permissions(above, PermissionsExt::from_mode(0o1777)).expect("its mode");
    place.run(&up).expect(0);
}

#[test]
fn a_full_disk_is_refused_and_nothing_is_half_made() {
    if !is_root() {
        // A small file system of one's own is made in a user namespace, which not every machine allows.
        return a_full_disk_of_ones_own();
    }
    let place = Place::new();
    std::fs::create_dir(&place.root).expect("the mount point");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m,mode=755", "mainstay-it"])
        .arg(&place.root)
        .status();
    assert!(mounted.expect("mount").success());
    let up = place.up(&[]);
    let names = place.names();
    assert!(std::process::Command::new("umount").arg(&place.root).status().expect("umount").success());
    assert_eq!((up.code, names), (4, Vec::new()), "{}", up.stderr);
    assert!(up.stderr.contains("the disk of") && up.stderr.contains("MB"), "{}", up.stderr);
}

fn a_full_disk_of_ones_own() {
    let script = "mkdir -p $DIR && mount -t tmpfs -o size=8m x $DIR && $MAINSTAY up --dir $DIR --listen 127.0.0.1:$PORT; echo code $?; ls -A $DIR";
    let place = Place::new();
    let ran = std::process::Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .env("DIR", &place.root)
        .env("MAINSTAY", crate::place::MAINSTAY)
        .env("PORT", place.port.to_string())
        .output()
        .expect("unshare");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(out.trim().ends_with("code 4"), "{out}\n{err}");
}

/// A few bytes that no protocol begins with, the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(byte).collect()
}

#[test]
fn random_bytes_on_every_port_and_socket_hurt_nobody() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let status = place.status();
    let inner = status["agent"]["server"]["spec"]["socket"].as_str().expect("the server's socket").to_owned();
    let edge = format!("127.0.0.1:{}", place.port);
    let timeout = Some(std::time::Duration::from_secs(2));
    for seed in 0..60 {
        let said = noise(seed, 1 + (seed as usize * 37) % 4000);
        let mut stream = TcpStream::connect(&edge).expect("a connection");
        stream.set_read_timeout(timeout).expect("a timeout");
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 512]);
        let mut stream = UnixStream::connect(&inner).expect("the server's socket");
        stream.set_read_timeout(timeout).expect("a timeout");
        let _ = stream.write_all(&said);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 512]);
        let socket = place.root.join("run/agent.sock");
        let mut stream = UnixStream::connect(socket).expect("the control socket");
        let _ = stream.write_all(&noise(seed, 300));
        let _ = stream.write_all(b"\n");
    }
    assert_eq!(place.status()["agent"]["agent_pid"], status["agent"]["agent_pid"], "the agent is the same");
    assert_eq!(
        place.status()["agent"]["server"]["pid"],
        status["agent"]["server"]["pid"],
        "the server is the same"
    );
    place.run(&["verify"]).expect(0);
}

#[test]
fn a_request_body_of_ten_megabytes_is_refused() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer = runtime.block_on(async {
        let body = format!("{{\"login_id\":\"{}\"}}", "x".repeat(10 << 20));
        let url = format!("{}/api/v4/users/login", place.url());
        reqwest::Client::new().post(url).header("content-type", "application/json").body(body).send().await
    });
    // Answered, or hung up on while it was still sending: both are a refusal.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), 413);
    }
    place.run(&["verify"]).expect(0);
}

/// The flag wins over keys in variables, so its name must be right.
#[test]
fn a_profile_that_does_not_exist_is_refused_with_those_that_do() {
    let place = Place::new();
    let files = tempfile::tempdir().expect("a directory");
    let config = files.path().join("config");
    std::fs::write(&config, "[profile work]\nregion = eu-central-1\n").expect("the profiles");
    let ran = place
        .command(&["apps", "list", "--profile", "wrok"])
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", files.path().join("none"))
        .env("AWS_ACCESS_KEY_ID", "A")
        .env("AWS_SECRET_ACCESS_KEY", "B")
        .output()
        .expect("the command");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(said.contains("no profile `wrok`") && said.contains("`work`"), "{said}");
}
