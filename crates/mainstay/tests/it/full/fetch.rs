//! Official editions: fetched from a site, proven, unpacked, and started like every other.
//!
//! The server in them is the built-in one under another name: what is tested is the way there.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tar::{EntryType, Header};
use testbed::release_site::{Answer, ReleaseSite};
use testbed::signing_key::SigningKey;

use super::external::database;
use crate::place::{MAINSTAY, Place, Ran};

const FILE: &str = "mattermost-team-11.6.0-linux-";

/// A site with one release, and a deployment that is told of it.
struct Chat {
    place: Place,
    site: ReleaseSite,
    key: SigningKey,
    content: Vec<u8>,
    env: Vec<(&'static str, String)>,
}

fn arch() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

impl Chat {
    fn new(name: &str) -> Self {
        let (place, site, key) = (Place::new(), ReleaseSite::start(), SigningKey::new());
        let content = tarball("11.6.0");
        let path = path();
        site.put(&path, content.clone());
        site.put(&format!("{path}.sig"), key.sign(&content));
        site.put("/pubkey.gpg", key.public(0));
        let server = database(name, true);
        let env = [
            ("DB_ADAPTER", "postgres".to_owned()),
            ("DB_HOST", "127.0.0.1".to_owned()),
            ("DB_PORT", server.port.to_string()),
            ("DB_NAME", name.to_owned()),
            ("DB_USER", name.to_owned()),
            ("DB_PASS", server.password.expose_secret().to_owned()),
        ];
        let chat = Self { place, site, key, content, env: env.into() };
        chat.configure(&chat.site.url());
        chat
    }

    fn configure(&self, mirror: &str) {
        std::fs::create_dir_all(&self.place.root).expect("a directory");
        let text = format!(
            "edition = \"team\"\nversion = \"11.6.0\"\n[release]\nmirror = \"{mirror}\"\nfingerprint = \"{}\"\n",
            self.key.fingerprint()
        );
        std::fs::write(self.place.root.join("mainstay.toml"), text).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the binary runs").into()
    }

    fn up(&self, more: &[&str]) -> Ran {
        let args = self.place.up_args();
        self.run(&args.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    }

    /// How often the tarball was asked for, and from where on.
    fn asked(&self) -> Vec<Option<String>> {
        let requests = self.site.requests().into_iter();
        requests.filter(|request| request.path == path()).map(|request| request.range).collect()
    }
}

fn path() -> String {
    format!("/11.6.0/{FILE}{}.tar.gz", arch())
}

/// A Team Edition whose server is the program under test, called as an image would call it.
fn tarball(version: &str) -> Vec<u8> {
    tarball_with(version, "")
}

/// The same with lines of shell before the server.
fn tarball_with(version: &str, lines: &str) -> Vec<u8> {
    let server = format!(
        "#!/bin/bash\nif [ \"$1\" = version ]; then\n  printf 'Version: {version}\\nBuild Number: {version}\\nBuild Enterprise Ready: false\\n'\n  \
         exit 0\nfi\n{lines}exec -a mattermost {MAINSTAY} \"$@\"\n"
    );
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, mode: u32, content: &[u8]| {
        let mut header = Header::new_ustar();
        let is_dir = name.ends_with('/');
        header.set_entry_type(if is_dir { EntryType::Directory } else { EntryType::Regular });
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, format!("mattermost/{name}"), content).expect("packed");
    };
    add("bin/mattermost", 0o755, server.as_bytes());
    add("config/config.json", 0o600, b"{}");
    for dir in ["client/", "fonts/", "i18n/", "templates/"] {
        add(dir, 0o755, b"");
    }
    // Something to be cut off in.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    })
    .take(50_000)
    .flatten()
    .collect();
    add("client/main.js", 0o644, &noise);
    archive.into_inner().and_then(GzEncoder::finish).expect("packed")
}

#[test]
fn up_fetches_an_official_edition_and_goes_on_after_a_kill() {
    let chat = Chat::new("fetched");
    let plan = chat.up(&["--plan", "--json"]).expect(0).json();
    let names = |plan: &Value| -> Vec<String> {
        let steps = plan["steps"].as_array().expect("steps").iter();
        steps.map(|step| step["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&plan)[0], "fetch", "{plan}");
    assert_eq!(chat.asked(), [], "a plan asks nobody");

    // Killed in the middle of the download, and again after it.
    chat.site.answer(&path(), [Answer::Stall(100_000)]);
    let mut up = chat
        .command(&chat.place.up_args().iter().map(String::as_str).collect::<Vec<_>>())
        .spawn()
        .expect("it runs");
    let part = chat.place.cache().join("partial").join(format!("{FILE}{}.tar.gz", arch()));
    let began = Instant::now();
    while std::fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 {
        assert!(began.elapsed() < testbed::PATIENCE, "nothing came");
        std::thread::sleep(Duration::from_millis(20));
    }
    up.kill().expect("killed");
    up.wait().expect("ended");
    assert!(!chat.place.root.join("releases/11.6.0-team").exists());

    let again = chat.up(&["--inject-kill", "fetch:after"]);
    assert_eq!(again.code, -9, "{}", again.stderr);
    assert_eq!(chat.asked(), [None, Some("bytes=100000-".to_owned())], "it went on where it was");

    let up = chat.up(&["--json"]).expect(0).json();
    assert_eq!(up["release"], "11.6.0-team");
    assert!(!up["verified_at"].is_null(), "{up}");
    assert_eq!(chat.asked().len(), 2, "the cache has it");
    let second = chat.up(&["--json"]).expect(0).json();
    assert_eq!(second["changed"], false, "what is installed is wanted: {second}");
    let list = chat.run(&["release", "list"]).expect(0).stdout;
    assert!(list.contains("* 11.6.0-team") && list.contains("In the cache"), "{list}");
    let kept = chat.run(&["release", "prune", "--yes", "--cache", "--json"]).expect(0).json();
    assert_eq!((kept["removed"].to_string().as_str(), &kept["kept"][0]), ("[]", &Value::from("11.6.0-team")));
    chat.run(&["down"]).expect(0);
}

#[test]
fn a_way_with_stops_is_one_plan_that_goes_back_to_the_last_stop_or_to_the_first() {
    let chat = Chat::new("stops");
    chat.up(&[]).expect(0);
    let sick = chat.place.root.with_file_name("sick");
    let fails = format!(
        "if [ -e {} ] && [ \"$1\" = server ]; then echo 'the last stop is out of order' >&2; exit 1; fi\n",
        sick.display()
    );
    for (version, lines) in [("11.7.15", ""), ("11.8.5", &*fails)] {
        let content = tarball_with(version, lines);
        let path = format!("/{version}/mattermost-team-{version}-linux-{}.tar.gz", arch());
        chat.site.put(&format!("{path}.sig"), chat.key.sign(&content));
        chat.site.put(&path, content);
    }
    let way = ["upgrade", "--yes", "--to", "11.8.5", "--every-esr"];
    let with = |more: &[&str]| chat.run(&[&way[..], more].concat());
    let release = || {
        let status = chat.run(&["status", "--json"]).expect(0).json();
        status["release"].as_str().unwrap_or_default().to_owned()
    };
    let planned = with(&["--plan"]).expect(0).stdout;
    for part in ["by way of 11.7.15-team", "1. fetch ", "2. fetch-2 ", "forget-before", "acceptance-2"] {
        assert!(planned.contains(part), "{part}: {planned}");
    }
    std::fs::write(&sick, "").expect("written");
    let failed = with(&[]).expect(6).stderr;
    for part in [
        "the last stop is out of order",
        "it went back to 11.7.15-team, the last stop that was proven, and the rest of the way is as it was",
        "it is verified",
    ] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert_eq!(release(), "11.7.15-team");
    let history = chat.run(&["history", "--json"]).expect(0).json();
    let events = history.as_array().expect("events");
    let run = events.iter().find(|event| event["operation"] == "upgrade").expect("the upgrade");
    assert_eq!((&run["outcome"], &run["stayed_at"]), (&"partly".into(), &"11.7.15-team".into()), "{history}");
    let run = chat.run(&["history", &run["run"].to_string()]).expect(0).stdout;
    assert!(run.contains("Stayed at  11.7.15-team, the last stop that was proven"), "{run}");
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], false, "it is what is wanted");
    chat.run(&["rollback", "--yes"]).expect(0);
    assert_eq!(release(), "11.6.0-team");

    let failed = with(&["--all-or-nothing"]).expect(6).stderr;
    assert!(failed.contains("everything is as before; it is verified"), "{failed}");
    assert_eq!(release(), "11.6.0-team");

    std::fs::remove_file(&sick).expect("removed");
    for (fault, stays) in [("server:after", "11.6.0-team"), ("server-2:after", "11.7.15-team")] {
        let killed = with(&["--inject-kill", fault]);
        assert_eq!(killed.code, -9, "{}", killed.stderr);
        chat.up(&[]).expect(0);
        assert_eq!(release(), stays, "{fault}");
    }
    with(&[]).expect(0);
    assert_eq!(release(), "11.8.5-team");
    chat.run(&["rollback", "--yes"]).expect(0);
    let upgraded = with(&["--all-or-nothing", "--json"]).expect(0).json();
    assert_eq!((&upgraded["release"], &upgraded["from"]), (&"11.8.5-team".into(), &"11.7.15-team".into()));
    chat.run(&["down"]).expect(0);
}

#[test]
fn what_is_not_proven_or_does_not_come_changes_nothing() {
    let chat = Chat::new("unfetched");
    let is_untouched = || {
        let names = chat.place.names();
        names.iter().all(|name| ["mainstay.toml", "run", "state.db"].contains(&name.as_str()))
    };
    // Another's signature.
    chat.site.put(&format!("{}.sig", path()), SigningKey::new().sign(&chat.content));
    let refused = chat.up(&[]).expect(6);
    assert!(refused.stderr.contains("it is signed by"), "{}", refused.stderr);
    assert!(refused.stderr.contains("everything is as before"), "{}", refused.stderr);
    assert!(is_untouched(), "{:?}", chat.place.names());
    // No network at all: one message has both ways.
    chat.configure("http://127.0.0.1:1/");
    let away = chat.up(&[]).expect(6).stderr.replace(char::is_whitespace, " ");
    for says in [
        "Mattermost 11.6.0 (team) is not on this machine",
        "HTTPS_PROXY",
        "[release] mirror",
        "mainstay release fetch 11.6.0 --edition team --to DIR",
        "--release DIR/mattermost-team-11.6.0-linux-",
    ] {
        assert!(away.contains(says), "{says}: {away}");
    }
    assert!(is_untouched(), "{:?}", chat.place.names());
}

#[test]
fn a_directory_for_a_machine_without_a_network_proves_and_installs_itself() {
    let chat = Chat::new("carried");
    let to = chat.place.root.with_file_name("carried");
    let to_text = to.to_str().expect("a name");
    let args = ["release", "fetch", "11.6.0", "--to", to_text];
    let plan = chat.run(&[&args[..], &["--plan"]].concat()).expect(0).stdout;
    assert!(plan.contains(&chat.key.fingerprint()) && !to.exists(), "{plan}");
    let fetched = chat.run(&[&args[..], &["--json"]].concat()).expect(0).json();
    assert_eq!(fetched["proof"]["signed_by"], chat.key.fingerprint());
    let file = format!("{FILE}{}.tar.gz", arch());
    let mut names: Vec<String> = std::fs::read_dir(&to)
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["README.txt", "mainstay", &file, &format!("{file}.sig"), "signing-key.asc"]);
    let readme = std::fs::read_to_string(to.join("README.txt")).expect("text");
    // What it says works there, with a key of one's own too.
    let line = readme.lines().map(str::trim).find(|line| line.starts_with("./mainstay release verify"));
    let line = line.unwrap_or_else(|| panic!("{readme}"));
    let mut as_told = Command::new("sh");
    as_told.args(["-c", line]).current_dir(&to).env("MAINSTAY_CACHE", to.with_file_name("other-cache"));
    Ran::from(as_told.env("MAINSTAY_DIR", to.with_file_name("none")).output().expect("sh")).expect(0);
    let key = format!("fingerprint = \"{}\"", chat.key.fingerprint());
    assert!(readme.contains(&key) && readme.contains(&file), "{readme}");

    // There: another cache, no network.
    let there = Place::new();
    let verify = |place: &Place, path: &Path| {
        let fingerprint = chat.key.fingerprint();
        let args = ["release", "verify", path.to_str().expect("a name"), "--fingerprint", &fingerprint];
        let output = Command::new(to.join("mainstay"))
            .args(args)
            .env("MAINSTAY_DIR", &place.root)
            .env("MAINSTAY_CACHE", place.cache())
            .output();
        Ran::from(output.expect("it runs"))
    };
    let install = |place: &Place| {
        let tarball = to.join(&file);
        let more =
            ["--wait".to_owned(), "1".to_owned(), "--release".to_owned(), tarball.display().to_string()];
        let args = [&place.up_args()[..], &more].concat();
        let mut up = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        up.envs([("DB_NAME", "chat"), ("DB_USER", "mm"), ("DB_PASS", "mm")]);
        Ran::from(
            up.env("DB_ADAPTER", "postgres")
                .env("DB_HOST", "127.0.0.1")
                .env("DB_PORT", "1")
                .output()
                .expect("it runs"),
        )
    };
    std::fs::create_dir_all(&there.root).expect("made");
    let wanted = there.root.join("mainstay.toml");
    let known = format!("[release]\nfingerprint = \"{}\"\n", chat.key.fingerprint());
    std::fs::write(&wanted, &known).expect("written");
    // It gets as far as the database, which is not there.
    assert!(install(&there).expect(4).stderr.contains("127.0.0.1:1"));
    // The signature of somebody else, and one of another file.
    let signature = to.join(format!("{file}.sig"));
    let right = std::fs::read(&signature).expect("a signature");
    for wrong in [SigningKey::new().sign(&chat.content), chat.key.sign(b"another file")] {
        std::fs::write(&signature, wrong).expect("written");
        let refused = install(&there).expect(8).stderr;
        assert!(
            refused.contains(&format!("{file} is not what")) && refused.contains("release verify"),
            "{refused}"
        );
    }
    std::fs::write(&signature, right).expect("written");
    std::fs::remove_file(&wanted).expect("removed");
    std::fs::remove_dir(&there.root).expect("removed");
    let proven = verify(&there, &to).expect(0).stdout;
    assert!(proven.contains(&format!("✓ {file}: signed by")), "{proven}");
    let mut changed = std::fs::OpenOptions::new().append(true).open(to.join(&file)).expect("opened");
    changed.write_all(b"x").expect("written");
    let refused = verify(&there, &to).expect(5);
    assert!(refused.stdout.contains("✗"), "{}", refused.stdout);
    std::fs::remove_file(to.join(format!("{file}.sig"))).expect("removed");
    assert!(verify(&there, &to.join(&file)).expect(5).stdout.contains("has no signature"));
}

#[test]
fn another_release_of_the_makers_under_the_name_of_the_one_that_is_wanted_is_refused() {
    let chat = Chat::new("swapped");
    let other = tarball("11.5.1");
    chat.site.put(&format!("{}.sig", path()), chat.key.sign(&other));
    chat.site.put(&path(), other);
    let is_empty = || {
        let held = std::fs::read_dir(chat.place.cache().join("releases")).into_iter().flatten().count();
        held == 0
    };
    let fetched = chat.run(&["release", "fetch", "11.6.0", "--edition", "team"]).expect(8).stderr;
    assert!(fetched.contains("has 11.5.1-team under the name of 11.6.0-team") && is_empty(), "{fetched}");
    let up = chat.up(&[]).expect(6).stderr;
    assert!(up.contains("is 11.5.1-team, not 11.6.0-team") && is_empty(), "{up}");
    // From another site it comes at once.
    chat.site.put(&format!("{}.sig", path()), chat.key.sign(&chat.content));
    chat.site.put(&path(), chat.content.clone());
    chat.run(&["release", "fetch", "11.6.0", "--edition", "team"]).expect(0);

    // The cache is emptied also where there is no deployment.
    let plan = chat.run(&["release", "prune", "--cache", "--plan"]).expect(0).stdout;
    assert!(plan.contains(FILE) && !is_empty(), "{plan}");
    let pruned = chat.run(&["release", "prune", "--cache", "--yes", "--json"]).expect(0).json();
    assert!(pruned["removed"].to_string().contains(FILE) && is_empty(), "{pruned}");
}
