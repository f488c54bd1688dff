//! Every mistake gets a clear answer, the right exit code, and changes nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::place::{Place, Ran, is_root, processes_of};

/// The answer to a mistake: its exit code and a part of what must be said. Nothing may have been made.
fn refused(place: &Place, args: &[&str], code: i32, says: &str) {
    let before = place.names();
    let ran = place.run(args).expect(code);
    assert!(ran.stderr.contains(says), "{args:?} should say {says:?}, and says:\n{}", ran.stderr);
    assert_eq!(place.names(), before, "{args:?} changed something");
    assert!(processes_of(&place.root).is_empty(), "{args:?} left a process");
}

#[test]
fn wrong_words_are_told_the_nearest_right_one() {
    let place = Place::new();
    refused(&place, &["upp"], 2, "'up'");
    refused(&place, &["statsu"], 2, "'status'");
    refused(&place, &["up", "--lisen", "127.0.0.1:1"], 2, "'--listen'");
    refused(&place, &["logs", "sever"], 2, "server");
    refused(&place, &[], 2, "Usage");
    assert!(!place.root.exists());
}

#[test]
fn a_mistyped_command_line_is_data_as_well() {
    let place = Place::new();
    for (args, what) in [
        (&["--json", "statsu"][..], "unrecognized subcommand 'statsu'"),
        (&["up", "--json", "--lisen", "1"], "unexpected argument '--lisen' found"),
        (&["--json"], "'mainstay' requires a subcommand but one was not provided"),
    ] {
        let ran = place.run(args).expect(2);
        let error = ran.json();
        assert_eq!((&error["type"], &error["exit_code"]), (&"error".into(), &2.into()), "{error}");
        assert_eq!(error["what"], what);
        assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    }
    // Without an environment of ours nothing but the flag is given, and clap would only show its help.
    let mut bare = place.command(&["--json", "settings"]);
    let ran = Ran::from(bare.env_remove("MAINSTAY_DIR").output().expect("the binary runs")).expect(2);
    assert_eq!(ran.json()["what"], "a command is missing");
    assert!(place.run(&["--json", "--help"]).expect(0).stdout.contains("Usage"));
}

#[test]
fn wrong_values_are_told_what_is_allowed() {
    let place = Place::new();
    refused(&place, &["up", "--site-url", "chat.example.com"], 2, "https://chat.example.com");
    refused(&place, &["up", "--site-url", "ftp://chat.example.com"], 2, "http://");
    refused(&place, &["up", "--listen", "nowhere"], 2, "ADDR:PORT");
    refused(&place, &["up", "--listen", "127.0.0.1:0"], 2, "port is 0");
    refused(&place, &["up", "--edition", "gold"], 2, "builtin");
    refused(&place, &["up", "--listen", "192.0.2.77:8065"], 4, "not an address of this machine");
    refused(&place, &["verify"], 4, "mainstay up");
    refused(&place, &["logs"], 4, "mainstay up");
    refused(&place, &["shell"], 4, "mainstay up");
    refused(&place, &["uninstall", "--yes"], 4, "no deployment");
    refused(&place, &["up", "--inject-failure", "nonsense"], 2, "STEP:before");
    assert!(!place.root.exists());
}

#[test]
fn what_the_house_decides_is_not_dropped_without_a_word() {
    let place = Place::new();
    let mut command = place.command(&["--json", "settings", "check"]);
    let variables =
        [("MM_SERVICESETTINGS_LISTENADDRESS", ":80"), ("MM_SERVICESETTINGS_CONNECTIONSECURITY", "TLS")];
    let ran = Ran::from(command.envs(variables).output().expect("the binary runs")).expect(0);
    let said = ran.json()["notices"].as_array().cloned().unwrap_or_default();
    let names: Vec<_> = said.iter().filter_map(|notice| notice["name"].as_str()).collect();
    assert_eq!(names, variables.map(|(name, _)| name));
    assert!(said.iter().all(|notice| notice["effective"] == false), "{said:?}");
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
fn a_foreign_directory_is_left_alone() {
    let place = Place::new();
    std::fs::create_dir(&place.root).expect("the directory");
    std::fs::write(place.root.join("thesis.tex"), "precious").expect("a file");
    refused(&place, &["up"], 4, "thesis.tex");
    refused(&place, &["uninstall", "--yes"], 4, "thesis.tex");
    std::fs::remove_dir_all(&place.root).expect("removed");
    std::fs::write(&place.root, "a file").expect("a file in its place");
    refused(&place, &["up"], 4, "not a directory");
}

#[test]
fn an_unwritable_directory_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    if is_root() {
        // Root may write anywhere but on a file system of the kernel's.
        let ran = place.run(&["up", "--dir", "/proc/mainstay"]).expect(4);
        assert!(ran.stderr.contains("/proc"), "{}", ran.stderr);
    } else {
        std::fs::create_dir(&place.root).expect("the directory");
        std::fs::set_permissions(&place.root, PermissionsExt::from_mode(0o500)).expect("read-only");
        refused(&place, &["up"], 4, "permission denied");
    }
}

#[test]
fn a_directory_that_others_can_change_is_refused() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let place = Place::new();
    std::fs::create_dir(&place.root).expect("the directory");
    let open =
        |mode| std::fs::set_permissions(&place.root, PermissionsExt::from_mode(mode)).expect("its mode");
    let listen = format!("127.0.0.1:{}", place.port);
    let up = ["up", "--plan", "--listen", &listen];
    for mode in [0o777, 0o775] {
        open(mode);
        refused(&place, &up, 4, "chmod go-w");
    }
    open(0o755);
    place.run(&up).expect(0);
    if is_root() {
        chown(&place.root, Some(65_534), None).expect("another owner");
        refused(&place, &up, 4, "chown root");
        chown(&place.root, Some(0), None).expect("ours again");
        let above = place.root.parent().expect("a directory above");
        std::fs::set_permissions(above, PermissionsExt::from_mode(0o777)).expect("its mode");
        refused(&place, &up, 4, "chmod o-w");
        std::fs::set_permissions(above, PermissionsExt::from_mode(0o1777)).expect("its mode");
        place.run(&up).expect(0);
    }
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

#[test]
fn mistakes_in_mainstay_toml_are_all_reported_and_nothing_is_touched() {
    let place = Place::new();
    std::fs::create_dir(&place.root).expect("the directory");
    let file = place.root.join("mainstay.toml");
    for (text, says) in [
        (
            "lisetn = \"127.0.0.1:1\"\nsite_url = 7\n",
            "mainstay.toml:1: `lisetn` is no key of mainstay.toml; did you mean `listen`?",
        ),
        ("lisetn = \"127.0.0.1:1\"\nsite_url = 7\n", "mainstay.toml:2: `site_url` is a number"),
        ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", "duplicate key"),
        ("listen = \"127.0.0.1", "mainstay.toml:1:"),
        ("[mattermost]\nTeamSettings = 5\n", "not a table"),
    ] {
        std::fs::write(&file, text).expect("the file");
        refused(&place, &["up"], 3, says);
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
    }
}

/// A deployment that ran once and is stopped.
fn stopped() -> Place {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["down"]).expect(0);
    place
}

#[test]
fn a_corrupt_journal_is_named_and_its_repair_offered() {
    let place = stopped();
    let journal = place.root.join("state.db");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(place.root.join(format!("state.db{suffix}")));
    }
    std::fs::write(&journal, [0x5a; 9000]).expect("garbage");
    let up = place.run(&["up"]).expect(4);
    assert!(up.stderr.contains("state.db"), "{}", up.stderr);
    assert_eq!(std::fs::read(&journal).expect("the journal"), [0x5a; 9000], "it is not touched");
    assert!(up.stderr.contains("mainstay up --yes"), "{}", up.stderr);
    place.run(&["up", "--yes"]).expect(0);
    assert!(place.names().iter().any(|name| name.starts_with("state.db.corrupt-")), "it is kept");
    assert_eq!(place.status()["up"], true, "nothing was lost but history");
}

#[test]
fn a_corrupt_config_json_is_named_with_its_line() {
    let place = stopped();
    let config = place.root.join("config/config.json");
    std::fs::write(&config, "{\n  \"ServiceSettings\": {,\n}").expect("garbage");
    let up = place.run(&["up"]).expect(3);
    assert!(up.stderr.contains("config.json:2"), "{}", up.stderr);
    assert_eq!(std::fs::read_to_string(&config).expect("still there"), "{\n  \"ServiceSettings\": {,\n}");
    std::fs::remove_file(&config).expect("moved aside");
    place.run(&["up"]).expect(0);
}

#[test]
fn a_damaged_release_is_named_and_can_be_made_again() {
    let place = stopped();
    let release = std::fs::read_link(place.root.join("current")).expect("the link");
    let binary = place.root.join(&release).join("bin/mattermost");
    let dir = binary.parent().expect("bin").to_owned();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).expect("writable");
    std::fs::remove_file(&binary).expect("removed");
    let up = place.run(&["up"]);
    assert!(up.code == 4 || up.code == 6, "{}: {}", up.code, up.stderr);
    assert!(up.stderr.contains("bin/mattermost"), "{}", up.stderr);
    assert!(place.root.join("data/mattermost.db").exists(), "the data is untouched");
    let release = place.root.join(&release);
    let opened = std::process::Command::new("chmod").args(["-R", "u+w"]).arg(&release).status();
    assert!(opened.expect("chmod").success());
    std::fs::remove_dir_all(&release).expect("the damaged release is removed");
    place.run(&["up"]).expect(0);
    assert_eq!(place.status()["up"], true);
    assert!(release.join("bin/mattermost").exists(), "it was made again");
}

#[test]
fn lost_secrets_are_not_replaced_under_a_database() {
    let place = stopped();
    std::fs::remove_file(place.root.join("secrets.toml")).expect("lost");
    let up = place.run(&["up"]).expect(4);
    assert!(up.stderr.contains("secrets.toml") && up.stderr.contains("backup"), "{}", up.stderr);
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
    let inner =
        status["agent"]["server"]["spec"]["listen"].as_str().expect("the server's address").to_owned();
    let edge = format!("127.0.0.1:{}", place.port);
    let timeout = Some(std::time::Duration::from_secs(2));
    for seed in 0..60 {
        for address in [&inner, &edge] {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.set_read_timeout(timeout).expect("a timeout");
            let _ = stream.write_all(&noise(seed, 1 + (seed as usize * 37) % 4000));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0; 512]);
        }
        let socket = place.root.join("run/agent.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("the control socket");
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
