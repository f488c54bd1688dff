//! Images that `mainstay image build` makes, in a real Docker: run, linked, composed, pushed and pulled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::PATIENCE;
use testbed::docker::Docker;
use testbed::registry::Registry;

use super::postgres_image;
use crate::place::{MAINSTAY, Ran};

/// What the documented quick start publishes.
const URL: &str = "http://127.0.0.1:8080";

/// A Mainstay for images, of the next version: `cargo xtask test` builds it first.
pub(crate) fn static_mainstay() -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let target = Path::new(MAINSTAY).ancestors().nth(2).expect("target/debug/mainstay");
    let program = target.join(triple).join("debug/mainstay");
    assert!(program.is_file(), "{} is missing: run `cargo xtask static` first", program.display());
    program
}

fn mainstay(args: &[&str]) -> Ran {
    mainstay_with(args, &[])
}

#[expect(clippy::disallowed_methods, reason = "the programs of this machine are found on its path")]
fn mainstay_with(args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let home = tempfile::tempdir().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(MAINSTAY)
        .args(args)
        .env_clear()
        .env("PATH", format!("/usr/bin:{path}"))
        .env("HOME", home.path())
        .env("MAINSTAY_DIR", home.path().join("deployment"))
        .envs(variables.iter().copied())
        .output();
    output.expect("mainstay runs").into()
}

/// Builds the built-in server's image into that Docker; returns its name.
fn load(docker: &Docker) -> String {
    let program = static_mainstay();
    let program = program.display().to_string();
    let args = ["image", "build", "--load", "--compression", "fast", "--mainstay", &program, "--json"];
    let built = mainstay_with(&args, &[("DOCKER_HOST", &docker.host())]).expect(0).json();
    built["name"].as_str().expect("a name").to_owned()
}

/// Waits until the deployment in a container says of itself that it is up.
fn up(docker: &Docker, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(said) = docker.attempt(&["exec", name, "mainstay", "status", "--check"]) {
        let state = inspect(docker, name, "{{.State.Status}}");
        let well = state == "running" && Instant::now() < deadline;
        assert!(well, "{name} is {state}, and not up: {said}: {}", logs(docker, name));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn inspect(docker: &Docker, name: &str, what: &str) -> String {
    docker.run(&["inspect", "--format", what, name]).trim().to_owned()
}

/// What a container said, on both of its streams.
fn logs(docker: &Docker, name: &str) -> String {
    let said =
        Command::new("/usr/bin/docker").args(["logs", name]).env("DOCKER_HOST", docker.host()).output();
    let said = said.expect("docker runs");
    String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned()
}

/// The acceptance test through the published port.
fn verified(docker: &Docker, url: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A stranger cannot switch the accounts off that it made: they stay on purpose.
        let ran: Ran = docker.inside(MAINSTAY, &["verify", "--url", url, "--keep", "--json"]).into();
        if ran.code == 0 || Instant::now() > deadline {
            assert_eq!(ran.expect(0).json()["passed"], true);
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Runs a container that must end by itself; returns its exit code as Docker keeps it.
fn ended(docker: &Docker, args: &[&str]) -> (String, String) {
    let id = docker.run(&[&["create"], args].concat());
    let id = id.trim();
    let _ = docker.attempt(&["start", "--attach", id]);
    (inspect(docker, id, "{{.State.ExitCode}}"), logs(docker, id))
}

#[test]
fn the_dockerfile_makes_the_same_image() {
    let docker = Docker::start();
    let image = load(&docker);
    let dir = tempfile::tempdir().expect("a directory");
    let context = dir.path().join("context").display().to_string();
    let program = static_mainstay().display().to_string();
    let build = ["image", "build", "--format", "context", "--output", &context];
    mainstay(&[&build[..], &["--compression", "fast", "--mainstay", &program]].concat()).expect(0);
    docker.run(&["build", "--quiet", "--tag", "built", &context]);
    let config = |name: &str| -> Value {
        let mut config: Value =
            serde_json::from_str(&inspect(&docker, name, "{{json .Config}}")).expect("a configuration");
        // Docker's builder puts PATH first, whatever the Dockerfile says.
        config["Env"].as_array_mut().expect("variables").sort_by_key(Value::to_string);
        config
    };
    let (ours, theirs) = (config(&image), config("built"));
    for key in [
        "User",
        "ExposedPorts",
        "Env",
        "Cmd",
        "Healthcheck",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "Labels",
        "StopSignal",
    ] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    let version = |name: &str| docker.run(&["run", "--rm", name, "mattermost", "version"]);
    assert_eq!(version("built"), version(&image));
    docker.run(&["run", "--detach", "--name", "chat", "built"]);
    up(&docker, "chat");
}

#[test]
fn the_documented_run_line_works_and_its_volume_outlives_the_container() {
    let docker = Docker::start();
    let image = load(&docker);
    let dir = tempfile::tempdir().expect("a directory");
    let env_file = dir.path().join("env");
    std::fs::write(&env_file, "MATTERMOST_NAME=Harbour\nMATTERMOST_SITE_URL=http://127.0.0.1:8080\nMATTERMOST_OPEN_SERVER=true\nDEBUG=true\n")
        .expect("written");
    let (env_file, volume) = (env_file.display().to_string(), dir.path().join("volume"));
    let volume = format!("{}:/opt/mattermost/data", volume.display());
    let backups = format!("{}:/backups", dir.path().join("backups").display());
    let run = ["run", "--name", "mattermost", "-d", "--publish", "8080:80"];
    let rest = ["--volume", &volume, "--volume", &backups, "--env-file", &env_file, &image];
    docker.run(&[&run[..], &rest].concat());
    up(&docker, "mattermost");
    verified(&docker, URL);
    let secrets = std::fs::read(dir.path().join("volume/.mainstay/secrets.toml")).expect("secrets");

    docker.run(&["exec", "mattermost", "mainstay", "backup", "create"]);
    docker.run(&["exec", "mattermost", "mainstay", "backup", "check", "--read-data", "100"]);
    let key = docker.run(&["exec", "mattermost", "mainstay", "backup", "key", "export"]);
    assert_eq!(key.trim().len(), 64, "{key}");
    assert!(dir.path().join("backups/config").exists(), "the snapshot is in the second volume");

    // In order, and well within Docker's ten seconds.
    let began = Instant::now();
    docker.run(&["stop", "mattermost"]);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(inspect(&docker, "mattermost", "{{.State.ExitCode}}"), "0");
    docker.run(&["start", "mattermost"]);
    up(&docker, "mattermost");

    // Another container, the same volume: users, posts and secrets are there.
    docker.run(&["stop", "mattermost"]);
    docker.run(&["rm", "mattermost"]);
    docker.run(&[&run[..], &rest].concat());
    up(&docker, "mattermost");
    verified(&docker, URL);
    assert_eq!(std::fs::read(dir.path().join("volume/.mainstay/secrets.toml")).expect("secrets"), secrets);
    docker.run(&["exec", "mattermost", "mattermost", "version"]);
    docker.run(&["rm", "--force", "mattermost"]);

    let (code, said) = ended(&docker, &["--env", "DB_PORT=abc", "--env", "DB_HOST=db", &image]);
    assert_eq!(code, "3", "{said}");
    assert!(said.contains("DB_PORT"), "{said}");
    let (code, said) = ended(&docker, &["--env", "MYSQL_PORT_3306_TCP_ADDR=172.17.0.9", &image]);
    assert_eq!(code, "8", "{said}");
    let (code, said) = ended(&docker, &["--user", "3000", "--volume", "fresh:/opt/mattermost/data", &image]);
    assert_eq!(code, "4", "{said}");
    assert!(said.contains("chown"), "{said}");
    let (code, said) = ended(&docker, &[&image, "app:strat"]);
    assert_eq!(code, "2", "{said}");
}

#[test]
fn a_container_needs_no_more_than_it_says() {
    let docker = Docker::start();
    let image = load(&docker);
    docker.run(&["run", "--name", "closed", "-d", "--read-only", &image]);
    up(&docker, "closed");
    docker.run(&["exec", "closed", "mainstay", "verify"]);
    let said =
        docker.attempt(&["exec", "closed", "mainstay", "backup", "create"]).expect_err("it is no volume");
    assert!(said.contains("is in no volume") && said.contains("--volume"), "{said}");
    let said = docker.attempt(&["exec", "closed", "mainstay", "shell"]).expect_err("there is none");
    assert!(said.contains("this image has no shell") && said.contains("docker exec"), "{said}");
    docker.run(&["rm", "--force", "closed"]);

    let bare = ["--cap-drop", "ALL", "--volume", "used:/opt/mattermost/data", &image];
    let (code, said) = ended(&docker, &bare);
    assert_eq!(code, "4", "{said}");
    assert!(said.contains("--cap-add SETUID --cap-add SETGID"), "{said}");
    // A new volume has the image's owner already.
    let added = ["--cap-add", "SETUID", "--cap-add", "SETGID"];
    docker.run(&[&["run", "--name", "few", "-d"], &added[..], &bare].concat());
    up(&docker, "few");
    docker.run(&["rm", "--force", "few"]);

    let labels: Value =
        serde_json::from_str(&inspect(&docker, &image, "{{json .Config.Labels}}")).expect("labels");
    let labels = labels.as_object().expect("labels");
    assert!(labels.len() > 4 && labels.values().all(|label| label != ""), "{labels:?}");
}

#[test]
fn another_base_keeps_its_users_and_its_path() {
    let docker = Docker::start();
    let dir = tempfile::tempdir().expect("a directory");
    let base = dir.path().join("base");
    std::fs::create_dir_all(base.join("etc")).expect("made");
    std::fs::write(base.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nalice:x:7:7::/:/bin/sh\n")
        .expect("written");
    let tar = dir.path().join("base.tar").display().to_string();
    let packed = Command::new("tar").args(["-cf", &tar, "-C"]).arg(&base).arg(".").status();
    assert!(packed.expect("tar runs").success());
    docker.run(&["import", "--change", "ENV PATH=/special/bin:/bin", &tar, "base:1"]);

    let context = dir.path().join("context");
    let (text, program) = (context.display().to_string(), static_mainstay().display().to_string());
    let build = ["image", "build", "--format", "context", "--base", "base:1", "--output", &text];
    mainstay(&[&build[..], &["--compression", "fast", "--mainstay", &program]].concat()).expect(0);
    docker.run(&["build", "--quiet", "--tag", "based", &text]);
    assert!(
        inspect(&docker, "based", "{{json .Config.Env}}")
            .contains("PATH=/opt/mattermost/bin:/special/bin:/bin")
    );
    docker.run(&["run", "--name", "based", "-d", "based"]);
    up(&docker, "based");
    let passwd = dir.path().join("passwd").display().to_string();
    docker.run(&["cp", "based:/etc/passwd", &passwd]);
    assert!(std::fs::read_to_string(&passwd).expect("users").contains("alice"));
}

#[test]
fn an_image_on_postgres_has_what_a_backup_of_a_linked_postgres_needs() {
    let docker = Docker::start();
    postgres_image::make(&docker, "postgres:17");
    let dir = tempfile::tempdir().expect("a directory");
    let context = dir.path().join("context").display().to_string();
    let program = static_mainstay().display().to_string();
    let refused = mainstay(&["image", "build", "--base", "postgres:17", "--format", "layout"]).expect(2);
    assert!(refused.stderr.contains("--format context"), "{}", refused.stderr);
    let build = ["image", "build", "--format", "context", "--base", "postgres:17", "--output", &context];
    mainstay(&[&build[..], &["--compression", "fast", "--mainstay", &program]].concat()).expect(0);
    docker.run(&["build", "--quiet", "--tag", "with-postgres", &context]);
    let database = ["POSTGRES_USER=mattermost", "POSTGRES_PASSWORD=secret", "POSTGRES_DB=mattermost"];
    let database: Vec<&str> = database.iter().flat_map(|pair| ["--env", *pair]).collect();
    docker.run(&[&["run", "--name", "mattermost-db", "-d"], &database[..], &["postgres:17"]].concat());
    let run =
        ["run", "--name", "mattermost", "-d", "--link", "mattermost-db:postgres", "--volume", "/backups"];
    docker.run(&[&run[..], &["with-postgres"]].concat());
    up(&docker, "mattermost");
    let made = docker.run(&["exec", "mattermost", "mainstay", "backup", "create", "--json"]);
    assert!(made.contains("\"type\":\"run-ended\"") || made.contains("snapshot"), "{made}");
    let checked = docker.run(&["exec", "mattermost", "mainstay", "backup", "check", "--json"]);
    assert!(!checked.contains("\"error\""), "{checked}");
}

#[test]
fn a_linked_postgres_is_the_database() {
    let docker = Docker::start();
    let image = load(&docker);
    postgres_image::make(&docker, "postgres:17");
    let database = ["POSTGRES_USER=mattermost", "POSTGRES_PASSWORD=p@ss:w/rd", "POSTGRES_DB=mattermost"];
    let database: Vec<&str> = database.iter().flat_map(|pair| ["--env", *pair]).collect();
    docker.run(&[&["run", "--name", "mattermost-db", "-d"], &database[..], &["postgres:17"]].concat());
    let link = ["--link", "mattermost-db:postgres", "--env", "MATTERMOST_OPEN_SERVER=true"];
    let link = [&link[..], &["--env", "MATTERMOST_SITE_URL=http://127.0.0.1:8080"]].concat();
    let run = ["run", "--name", "mattermost", "-d", "--publish", "8080:80"];
    docker.run(&[&run[..], &link, &[&image]].concat());
    up(&docker, "mattermost");
    verified(&docker, URL);
    let query = "select count(*) > 0 from users";
    let psql = [
        "exec",
        "--env",
        "PGPASSWORD=p@ss:w/rd",
        "mattermost-db",
        "psql",
        "-h",
        "127.0.0.1",
        "-U",
        "mattermost",
    ];
    match docker.attempt(&[&psql[..], &["-Atc", query]].concat()) {
        Ok(said) => assert_eq!(said.trim(), "t", "the users are not in PostgreSQL"),
        Err(said) => panic!("{said}"),
    }
}

#[test]
fn the_exported_compose_file_brings_up_server_and_database() {
    let docker = Docker::start();
    let image = load(&docker);
    postgres_image::make(&docker, "postgres:17");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("docker-compose.yml").display().to_string();
    let said = [("MATTERMOST_NAME", "It's $5 \"{{x}}\""), ("MATTERMOST_OPEN_SERVER", "true")];
    mainstay_with(&["export", "compose", "--output", &file, "--image", &image], &said).expect(0);
    let text = std::fs::read_to_string(&file).expect("the file");
    let secrets = std::fs::read_to_string(dir.path().join("mattermost.env")).expect("its secrets");
    for name in ["SECRET_KEY", "LINK_SALT", "RESET_SALT", "INVITE_SALT"] {
        let line = secrets.lines().find_map(|line| line.strip_prefix(&format!("MATTERMOST_{name}=")));
        assert!(line.is_some_and(|value| value.len() == 64 && !text.contains(value)), "{name}");
    }
    for name in ["mattermost.env", "database.env"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(dir.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let again = mainstay(&["export", "compose", "--output", &file]).expect(8);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(dir.path().join("mattermost.env")).expect("kept"), secrets);

    let compose = |words: &[&str]| -> Ran {
        let args = [&["--project-name", "chat", "--file", &file], words].concat();
        docker.inside("docker-compose", &args).into()
    };
    compose(&["up", "--detach"]).expect(0);
    up(&docker, "chat_mattermost_1");
    verified(&docker, "http://localhost:8080");
    let explained =
        ["exec", "chat_mattermost_1", "mainstay", "settings", "explain", "MATTERMOST_NAME", "--json"];
    let explained: Value = serde_json::from_str(docker.run(&explained).trim()).expect("JSON");
    assert!(explained.to_string().contains("It's $5 \\\"{{x}}\\\""), "{explained}");
    compose(&["restart"]).expect(0);
    up(&docker, "chat_mattermost_1");
    compose(&["down", "--volumes"]).expect(0);
}

#[test]
fn built_twice_it_is_the_same_bytes_and_what_is_pulled_is_what_was_built() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let program = static_mainstay().display().to_string();
    let build = |to: &str| {
        let args = ["image", "build", "--compression", "fast", "--mainstay", &program, "-o", to, "--json"];
        mainstay(&args).expect(0).json()
    };
    let (first, second) = (build(&at("one")), build(&at("two")));
    assert_eq!(first["digest"], second["digest"]);
    let same = Command::new("diff").args(["-r", &at("one"), &at("two")]).status().expect("diff runs");
    assert!(same.success());

    let registry = Registry::start(dir.path(), "");
    let name = format!("{}/team/chat:1", registry.address);
    let push = |name: &str| mainstay(&["image", "push", name, "--from", &at("one"), "--json"]);
    assert_eq!(push(&name).expect(0).json()["digest"], first["digest"]);
    assert_eq!(push(&name).expect(0).json()["sent"], 0, "the second push sends nothing");
    let pulled = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "--src-tls-verify=false"])
        .arg(format!("docker://{name}"))
        .arg(format!("oci:{}:1", at("pulled")))
        .status()
        .expect("skopeo runs");
    assert!(pulled.success());
    let index: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("pulled/index.json")).expect("an index"))
            .expect("JSON");
    assert_eq!(index["manifests"][0]["digest"], first["digest"]);

    // Nobody listens there, and nothing is sent in the clear elsewhere.
    push("127.0.0.1:1/team/chat:1").expect(4);
    push("Not A Name").expect(2);
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_makes_no_image_is_said_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let program = static_mainstay().display().to_string();
    std::fs::write(dir.path().join("text"), "no release").expect("written");
    std::fs::create_dir(dir.path().join("taken")).expect("made");
    std::fs::write(dir.path().join("taken/file"), "mine").expect("written");
    let build = |args: &[&str]| mainstay(&[&["image", "build"], args].concat());
    for (args, code, word) in [
        // This test's own binary is dynamic.
        (vec!["--output", &at("out")], 4, "--mainstay"),
        (vec!["--mainstay", "/bin/sh", "--output", &at("out")], 4, "needs"),
        (vec!["--mainstay", &program, "--release", &at("text"), "--output", &at("out")], 4, "text"),
        (vec!["--mainstay", &program, "--release", &at("none"), "--output", &at("out")], 4, "none"),
        (vec!["--mainstay", &program, "--output", &at("taken")], 4, "exists already"),
        (vec!["--mainstay", &program, "--output", &at("text"), "--format", "docker"], 4, "exists already"),
        (vec!["--mainstay", &program, "--output", &at("no/such/dir")], 4, "no/such"),
        (vec!["--mainstay", &program, "--tag", "UP:x", "--output", &at("out")], 2, "UP:x"),
        (
            vec!["--mainstay", &program, "--certificates", &at("text"), "--output", &at("out")],
            4,
            "certificate",
        ),
        (vec!["--mainstay", &program, "--load", "--output", &at("out")], 2, "--load"),
    ] {
        let ran = build(&args).expect(code);
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
    let mut left: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["taken", "text"]);
    let no_engine = mainstay_with(
        &["image", "build", "--load", "--mainstay", &program],
        &[("DOCKER_HOST", "unix:///nonexistent/socket")],
    );
    assert!(no_engine.expect(4).stderr.contains("DOCKER_HOST"));
    let none = mainstay(&["image", "push", "127.0.0.1:5000/a:b", "--from", &at("out")]).expect(4);
    assert!(none.stderr.contains("mainstay image build"), "{}", none.stderr);
}
