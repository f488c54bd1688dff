//! The image's entrypoint: docker-mattermost's interface, from a first start to a replaced container.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

use super::image::{Container, Image, Run, Volume, all_gone, processes, upload};
use crate::place::is_root;

/// The administrator's password, and everything else that was generated once.
fn secrets(volume: &Volume) -> String {
    volume.read(".mainstay/secrets.toml")
}

fn is_up(container: &Container) {
    let status = container.exec(&["status", "--json"]).expect(0).json();
    assert_eq!(status["up"], true, "{status}");
    let verified = container.exec(&["verify", "--json"]).expect(0).json();
    assert_eq!(verified["passed"], true, "{verified}");
}

/// A volume with uploads, last used by an earlier version.
fn used_volume() -> Volume {
    let volume = Volume::new();
    Run::new(&volume).up(&[]).stop().expect(0);
    upload(&volume);
    std::fs::write(volume.path.join("VERSION"), "10.11.3\n").expect("written");
    volume
}

#[test]
fn started_verified_stopped_and_started_again() {
    if !is_root() {
        return;
    }
    let volume = used_volume();
    std::os::unix::fs::chown(&volume.path, Some(0), Some(0)).expect("as another engine mounts it");
    let run = Run::new(&volume).env("MATTERMOST_NAME", "Harbour \"{{x}}\" $HOME");
    let container = run.up(&[]);
    is_up(&container);
    let pids = processes(container.pid());
    assert!(pids.len() >= 4, "process 1, the work, the agent, the server: {pids:?}");
    for pid in &pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(!status.contains("\nUid:\t0"), "root is left: {status}");
    }
    for (name, mode) in [("", 0o750), (".mainstay/secrets.toml", 0o600), ("teams/x/file", 0o644)] {
        let meta = std::fs::metadata(volume.path.join(name)).expect(name);
        assert_eq!((meta.uid(), meta.gid(), meta.permissions().mode() & 0o777), (2000, 2000, mode), "{name}");
    }
    assert_eq!(std::fs::metadata("/etc/passwd").expect("a file").uid(), 0, "a link was followed");
    assert_eq!(volume.read("VERSION").trim(), release::builtin().version.to_string());
    let config: serde_json::Value =
        serde_json::from_str(&volume.read(".mainstay/config/config.json")).expect("JSON");
    assert_eq!(config["TeamSettings"]["SiteName"], "Harbour \"{{x}}\" $HOME");
    assert_eq!(config["FileSettings"]["Directory"], "/opt/mattermost/data/");
    assert_eq!(config["ServiceSettings"]["SiteURL"], "", "nobody said it: any address works");
    // docker-mattermost's default, which is not the server's.
    assert_eq!(config["ServiceSettings"]["EnableIncomingWebhooks"], false);
    let list = container.exec(&["release", "list"]).expect(0).stdout;
    assert!(list.contains(&format!("* {}", release::builtin())), "{list}");

    let before = secrets(&volume);
    let stopped = container.stop().expect(0);
    assert!(stopped.stdout.contains("{\""), "the server's log is not in the container's: {}", stopped.stdout);
    let password = before.split('"').nth(3).expect("a password");
    assert!(!stopped.stdout.contains(password) && !stopped.stderr.contains(password), "it was printed");
    all_gone(&pids);

    // Killed: nothing of it is in the next one's way.
    let container = run.up(&["app:start"]);
    let pids = processes(container.pid());
    container.kill("-KILL");
    container.ended();
    all_gone(&pids);
    assert!(
        volume.path.join(".mainstay/run/server.pid").exists()
            && volume.path.join(".mainstay/run/agent.sock").exists()
    );
    let container = run.up(&[]);
    is_up(&container);
    assert_eq!(secrets(&volume), before);

    // Stopped from within: the container ends with its deployment.
    container.exec(&["down"]).expect(0);
    container.ended().expect(0);
}

#[test]
fn killed_at_a_step_the_next_start_goes_on() {
    if !is_root() {
        return;
    }
    for step in [
        "secrets:after",
        "database:after",
        "activation:before",
        "server:after",
        "acceptance:before",
        "volume-version:after",
    ] {
        let volume = Volume::new();
        let run = Run::new(&volume);
        let killed = run.to_end(&["--inject-kill", step, "app:start"]);
        assert_eq!(killed.code, 137, "{step}: {}", killed.stderr);
        is_up(&run.up(&[]));
    }
}

#[test]
fn a_failed_start_is_undone_and_uploads_stay() {
    if !is_root() {
        return;
    }
    let volume = used_volume();
    let before = secrets(&volume);
    let run = Run::new(&volume);
    run.to_end(&["--inject-failure", "volume-version:after", "app:start"]).expect(6);
    assert_eq!(volume.read("VERSION"), "10.11.3\n");
    assert_eq!(volume.read("teams/x/file"), "uploaded");
    assert_eq!(secrets(&volume), before);
    run.up(&[]).stop().expect(0);
}

#[test]
fn replaced_by_another_release_it_is_migrated_and_never_goes_back() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let earlier = || Run::new(&volume).image(Image::earlier());
    earlier().up(&[]).stop().expect(0);
    assert_eq!(volume.read("VERSION"), "11.6.0+0.0.9\n");
    let before = secrets(&volume);

    for step in ["migration:after", "activation:after", "server:before"] {
        // The copy that was kept brings the old schema back.
        let failed = Run::new(&volume).to_end(&["--inject-failure", step, "app:start"]).expect(6);
        assert!(failed.stderr.contains("everything is as before"), "{}", failed.stderr);
        assert_eq!(volume.read("VERSION"), "11.6.0+0.0.9\n", "{step}");
    }
    // The image of before starts on what an undo left, and takes back what a power cut left.
    earlier().up(&[]).stop().expect(0);
    for step in ["copy:after", "migration:after", "server:after"] {
        let killed = Run::new(&volume).to_end(&["--inject-kill", step, "app:start"]);
        assert_eq!(killed.code, 137, "{step}: {}", killed.stderr);
        earlier().up(&[]).stop().expect(0);
        assert_eq!(volume.read("VERSION"), "11.6.0+0.0.9\n", "{step}");
    }
    let plan = Run::new(&volume).to_end(&["--plan", "app:start"]).expect(0).stdout;
    assert!(plan.contains("Bring the database from 11.6.0+0.0.9-builtin"), "{plan}");
    // Once the new one is proven, there is no way back that loses nothing.
    let killed = Run::new(&volume).to_end(&["--inject-kill", "admit:before", "app:start"]);
    assert_eq!(killed.code, 137, "{}", killed.stderr);
    let refused = earlier().to_end(&[]).expect(8);
    assert!(refused.stderr.contains("start an image with"), "{}", refused.stderr);
    let container = Run::new(&volume).up(&[]);
    is_up(&container);
    container.stop().expect(0);
    assert_eq!(secrets(&volume), before);
    assert_eq!(volume.read("VERSION").trim(), release::builtin().version.to_string());

    let refused = earlier().to_end(&[]).expect(8);
    assert!(refused.stderr.contains("a downgrade is refused"), "{}", refused.stderr);
}

#[test]
fn a_volume_of_a_version_that_cannot_come_here_is_refused_and_left() {
    if !is_root() {
        return;
    }
    for (version, says) in [
        (Some("99.0.0\n"), "a downgrade is refused"),
        (Some("3.5.1"), "5.31, 5.37, 7.1 in turn"),
        (Some("10.11.23"), "11.7.3 or a later one"),
        (Some("latest"), "which is no version"),
        (None, "as with docker-mattermost 2.0.0"),
    ] {
        let volume = Volume::new();
        upload(&volume);
        if let Some(version) = version {
            std::fs::write(volume.path.join("VERSION"), version).expect("written");
        }
        let names = volume.names();
        for app in ["app:start", "app:migrate"] {
            let refused = Run::new(&volume).to_end(&[app]).expect(8);
            assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        }
        assert_eq!(volume.names(), names);
        assert_eq!(std::fs::metadata(&volume.path).expect("it").uid(), 0, "it was given away");
    }
}

#[test]
fn wrong_settings_are_all_told_and_nothing_is_touched() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let wrong = Run::new(&volume)
        .env("MATTERMOST_MAX_USERS", "lots")
        .env("SMTP_PASS", "hunter2")
        .env("MATTERMOST_NAEM", "x")
        .to_end(&[])
        .expect(3);
    for says in ["MATTERMOST_MAX_USERS", "SMTP_USER", "did you mean `MATTERMOST_NAME`"] {
        assert!(wrong.stderr.contains(says), "{says}: {}", wrong.stderr);
    }
    assert!(!wrong.stderr.contains("hunter2"));
    assert_eq!(volume.names(), Vec::<String>::new());
    assert_eq!(std::fs::metadata(&volume.path).expect("it").uid(), 0);
    let wrong = Run::new(&volume).env("USERMAP_UID", "me").to_end(&[]).expect(3);
    assert!(wrong.stderr.contains("USERMAP_UID"), "{}", wrong.stderr);
}

#[test]
fn any_user_may_run_it_where_the_volume_may_be_written() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let refused = Run::new(&volume).user(4242).to_end(&[]).expect(4);
    assert!(refused.stderr.contains("chown -R 4242:4242"), "{}", refused.stderr);
    assert_eq!(volume.names(), Vec::<String>::new());
    // As Kubernetes makes an emptyDir.
    std::fs::set_permissions(&volume.path, PermissionsExt::from_mode(0o777)).expect("a mode");
    let container = Run::new(&volume).user(4242).up(&[]);
    is_up(&container);
    container.stop().expect(0);
    assert_eq!(std::fs::metadata(volume.path.join(".mainstay")).expect("it").uid(), 4242);

    // The same by name of the variables, and then the volume is closed.
    let mapped = Run::new(&volume).env("USERMAP_UID", "4343").env("USERMAP_GID", "4344");
    mapped.up(&[]).stop().expect(0);
    let meta = std::fs::metadata(volume.path.join(".mainstay/config/config.json")).expect("it");
    assert_eq!((meta.uid(), meta.gid()), (4343, 4344));
    assert_eq!(std::fs::metadata(&volume.path).expect("it").permissions().mode() & 0o777, 0o750);
}

#[test]
fn a_container_that_is_told_to_run_as_root_says_so() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let run = Run::new(&volume).env("USERMAP_UID", "0").env("USERMAP_GID", "0");
    let says = "warning: everything in this container runs as root, because USERMAP_UID is 0";
    let container = run.up(&[]);
    let check = container.exec(&["settings", "check"]);
    assert!(check.stdout.contains(says), "{}", check.stdout);
    let status = container.exec(&["status"]);
    assert!(status.stdout.contains("everything in this container runs as root"), "{}", status.stdout);
    let ended = container.stop().expect(0);
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
    // The next start without it gives the volume away.
    let container = Run::new(&volume).up(&[]);
    assert!(!container.exec(&["status"]).stdout.contains("as root"));
    container.stop().expect(0);
    assert_eq!(std::fs::metadata(volume.path.join(".mainstay")).expect("it").uid(), 2000);
}

#[test]
fn commands_are_run_as_the_user_and_their_codes_are_passed_on() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let run = Run::new(&volume);
    let version = run.to_end(&["mattermost", "version"]).expect(0).stdout;
    assert!(version.contains("Edition: builtin"), "{version}");
    assert_eq!(run.to_end(&["sh", "-c", "id -u; exit 7"]).expect(7).stdout, "2000\n");
    let none = run.to_end(&["no-such-program"]).expect(2);
    assert!(none.stderr.contains("no-such-program"), "{}", none.stderr);
    let near = run.to_end(&["app:strat"]).expect(2);
    assert!(near.stderr.contains("did you mean `app:start`"), "{}", near.stderr);
    run.to_end(&["app:start", "now"]).expect(2);
    assert!(run.to_end(&["app:help"]).expect(0).stdout.contains("app:migrate"));
    assert_eq!(volume.names(), Vec::<String>::new());
}

#[test]
fn settings_that_close_the_door_do_not_shut_out_the_first_accounts() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let run = Run::new(&volume)
        .env("SMTP_HOST", "mail")
        .env("MATTERMOST_CREATE_USERS", "false")
        .env("MATTERMOST_USER_DOMAINS", "example.com");
    // Killed while the server is open to the first, it is closed by the next start.
    let killed = run.to_end(&["--inject-kill", "administrator:after", "app:start"]);
    assert_eq!(killed.code, 137, "{}", killed.stderr);
    let container = run.up(&[]);
    is_up(&container);
    let agent = container.exec(&["status", "--json"]).expect(0).json()["agent"].clone();
    assert_eq!(agent["server"]["spec"]["overrides"], serde_json::json!({}), "{agent}");
    container.stop().expect(0);
}

#[test]
fn secrets_in_files_of_roots_reach_the_server_and_nobody_else() {
    if !is_root() {
        return;
    }
    // As an engine mounts it from the host.
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("smtp");
    std::fs::write(&file, "s3cret \"of root\"\n").expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("a mode");
    let volume = Volume::new();
    let run = Run::new(&volume).env("SMTP_HOST", "mail").env("SMTP_USER", "u");
    let container = run.env("SMTP_PASS_FILE", file.to_str().expect("text")).up(&[]);
    container.exec(&["settings", "check"]).expect(0);
    assert!(!container.exec(&["settings", "list"]).expect(0).stdout.contains("s3cret"));
    let said = container.stop().expect(0);
    assert!(!said.stdout.contains("s3cret") && !said.stderr.contains("s3cret"));
    let config: serde_json::Value =
        serde_json::from_str(&volume.read(".mainstay/config/config.json")).expect("JSON");
    assert_eq!(config["EmailSettings"]["SMTPPassword"], "s3cret \"of root\"");
    let none = Run::new(&volume).env("SMTP_PASS_FILE", "/no/such/file").to_end(&[]).expect(3);
    assert!(none.stderr.contains("/no/such/file"), "{}", none.stderr);
}

#[test]
fn a_migration_alone_starts_nothing() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    Run::new(&volume).to_end(&["app:migrate"]).expect(0);
    assert!(volume.path.join(".mainstay/database/mattermost.db").exists());
    assert!(!volume.path.join("VERSION").exists());
    let container = Run::new(&volume)
        .env("DEBUG", "true")
        .env("SMTP_HOST", "mail")
        .env("SMTP_USER", "u")
        .env("SMTP_PASS", "hunter2");
    let container = container.up(&[]);
    let refused = container.exec(&["entrypoint", "app:migrate"]).expect(4);
    assert!(refused.stderr.contains("the deployment runs"), "{}", refused.stderr);
    let said = container.stop().expect(0).stderr;
    assert!(said.contains("as user 2000:2000") && said.contains("SMTP_HOST = mail"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn hidden_files_of_a_volume_are_no_uploads() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    std::fs::write(volume.path.join(".gitkeep"), "").expect("written");
    std::fs::create_dir(volume.path.join("lost+found")).expect("made");
    Run::new(&volume).up(&[]).stop().expect(0);
    let used = Volume::new();
    upload(&used);
    Run::new(&used).to_end(&[]).expect(8);
}

#[test]
fn a_read_only_root_is_enough() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let container = Run::new(&volume).read_only().up(&[]);
    is_up(&container);
    let server = volume.read(".mainstay/run/server.pid");
    let server: serde_json::Value = serde_json::from_str(&server).unwrap_or_default();
    assert!(!server.is_null());
    let temporary = volume.path.join(".mainstay/run/temporary");
    let meta = std::fs::metadata(&temporary).expect("a place for temporary files");
    assert_eq!((meta.uid(), meta.permissions().mode() & 0o777), (2000, 0o700));
    container.stop().expect(0);
    Run::new(&volume).read_only().up(&[]).stop().expect(0);
}

#[test]
fn capabilities_that_are_lacking_are_all_named() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let refused = Run::new(&volume).capabilities("").to_end(&[]).expect(4).stderr;
    let all = "--cap-add SETUID --cap-add SETGID --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add FOWNER";
    assert!(refused.contains(all) && refused.contains("--user 2000:2000"), "{refused}");
    let refused = Run::new(&volume).capabilities("setuid,setgid,chown").to_end(&[]).expect(4).stderr;
    assert!(refused.contains("without the capabilities DAC_OVERRIDE, FOWNER:"), "{refused}");
    assert_eq!(volume.names(), Vec::<String>::new());
    Run::new(&volume).capabilities("setuid,setgid,chown,dac_override,fowner").up(&[]).stop().expect(0);
    // The volume is right now: nothing has to be given away.
    let container = Run::new(&volume).capabilities("setuid,setgid").up(&[]);
    is_up(&container);
    container.stop().expect(0);
}

/// What a kubelet does to a volume each time that it mounts it, with `fsGroup`.
fn fs_group(volume: &Volume, gid: u32) {
    let script = r#"chgrp -R "$1" "$2" && chmod -R g+rwX "$2" && find "$2" -type d -exec chmod g+s {} +"#;
    let done = std::process::Command::new("sh")
        .args(["-c", script, "sh", &gid.to_string()])
        .arg(&volume.path)
        .status()
        .expect("sh runs");
    assert!(done.success());
}

#[test]
fn a_volume_that_belongs_to_a_group_can_be_used_again_and_again() {
    if !is_root() {
        return;
    }
    // Kubernetes: `runAsUser: 2000`, `fsGroup: 2000`. OpenShift: any user, and the root group.
    for (uid, gid) in [(2000, 2000), (1_000_650_000, 0)] {
        let volume = Volume::new();
        for _ in 0..2 {
            fs_group(&volume, gid);
            let container = Run::new(&volume).user_of_group(uid, gid).up(&[]);
            is_up(&container);
            container.stop().expect(0);
        }
    }
}

#[test]
fn a_shell_that_is_not_there_is_said_with_what_to_do_instead() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let container = Run::new(&volume).env("SHELL", "/no/such/shell").up(&[]);
    let refused = container.exec(&["shell"]).expect(4).stderr;
    assert!(refused.contains("this image has no shell") && refused.contains("docker exec"), "{refused}");
    container.stop().expect(0);
}

#[test]
fn a_second_container_on_the_volume_is_told_who_runs_it_and_touches_nothing() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    let first = Run::new(&volume).up(&[]);
    let began = std::time::Instant::now();
    let second = Run::new(&volume).to_end(&[]).expect(9);
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert!(
        second.stderr.contains("is run by host ") && second.stderr.contains("stop it there"),
        "{}",
        second.stderr
    );
    is_up(&first);
    // From inside it is one's own.
    first.exec(&["restart", "server"]).expect(0);
    first.stop().expect(0);
    Run::new(&volume).up(&[]).stop().expect(0);
}

#[test]
fn a_container_whose_data_is_gone_is_refused_and_can_begin_anew() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    Run::new(&volume).up(&[]).stop().expect(0);
    upload(&volume);
    let given = std::process::Command::new("chown").args(["-Rh", "2000:2000"]).arg(&volume.path).status();
    assert!(given.expect("chown").success());
    std::fs::remove_file(volume.path.join(".mainstay/database/mattermost.db")).expect("lost");
    for app in ["app:start", "app:migrate"] {
        let refused = Run::new(&volume).to_end(&[app]).expect(8);
        assert!(
            refused.stderr.contains("mattermost.db") && refused.stderr.contains("--foreground"),
            "{}",
            refused.stderr
        );
    }
    let begun = Run::new(&volume).up(&["/opt/mainstay/mainstay", "up", "--start-empty", "--foreground"]);
    is_up(&begun);
    begun.stop().expect(0);
    let aside = std::fs::read_dir(volume.path.join(".mainstay/set-aside")).expect("set-aside");
    let aside = aside.map(|entry| entry.expect("an entry").path()).next().expect("one");
    assert!(aside.join("secrets.toml").exists() && aside.join("volume").exists(), "nothing is deleted");
    Run::new(&volume).up(&[]).stop().expect(0);
}

#[test]
fn a_volume_of_a_mattermost_whose_database_is_not_named_is_not_begun_anew() {
    if !is_root() {
        return;
    }
    let volume = Volume::new();
    upload(&volume);
    std::fs::write(volume.path.join("VERSION"), "11.6.0\n").expect("written");
    let refused = Run::new(&volume).to_end(&[]).expect(8);
    for says in ["was used by Mattermost 11.6.0", "DB_HOST", "--start-empty"] {
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
    }
    assert_eq!(volume.read("VERSION"), "11.6.0\n");
    assert_eq!(std::fs::metadata(&volume.path).expect("it").uid(), 0, "it was given away");
}
