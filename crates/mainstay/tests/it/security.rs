//! Security fixes: what is read of the makers' lists, also of hostile ones, what is sent for that, and who is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::place::{Place, Ran};

/// A server that answers every connection with `answer`, and what was asked of it.
struct Recorder {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn new(answer: impl Fn(TcpStream) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let said = answer(stream);
                into.lock().expect("not poisoned").push(said);
            }
        });
        Self { port, heard }
    }

    /// One over HTTP: `answer` makes the whole answer from the path.
    fn http(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        Self::new(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap_or(0);
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            // A client that has read enough goes away.
            let _ = stream.write_all(&answer(&path));
            format!("{head}\n{}", String::from_utf8_lossy(&body))
        })
    }

    /// One that takes every letter.
    fn smtp() -> Self {
        Self::new(|mut stream| {
            let _ = stream.write_all(b"220 mail.test\r\n");
            let (mut said, mut is_text) = (String::new(), false);
            for line in BufReader::new(stream.try_clone().expect("a clone")).lines().map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
                let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
                    "." => b"250 taken\r\n",
                    _ if is_text => continue,
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 yes\r\n",
                };
                is_text = line == "DATA";
                let _ = stream.write_all(answer);
                if line == "QUIT" {
                    break;
                }
            }
            said
        })
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn moved(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

fn days_ago(days: i64) -> String {
    let day = jiff::Zoned::now().date().checked_sub(jiff::Span::new().days(days)).expect("a day");
    day.to_string()
}

fn advisories() -> Value {
    json!([
        {"issue_id": "Issue Identifier"},
        {"issue_id": "MMSA-2026-00601", "severity": "High", "platform": "Mattermost Server", "affected_versions": ["11.7.x <= 11.7.12"],
         "fix_versions": ["11.7.13"], "fix_release_date": days_ago(40), "details": "bad \u{1b}[31mthing"},
        {"issue_id": "MMSA-2026-00602", "severity": "Low", "platform": "Mattermost Server", "fix_versions": "v11.7.12", "fix_release_date": days_ago(60)},
        {"issue_id": "MMSA-2026-00603", "severity": "Low", "platform": "Plugins", "fix_versions": "1.2.3", "fix_release_date": days_ago(60)},
        {"strange": true}
    ])
}

fn releases() -> Value {
    json!([
        {"tag_name": "v11.7.16", "published_at": format!("{}T09:00:00Z", days_ago(3)), "body": "contains Medium to High severity level security fixes"},
        {"tag_name": "v11.7.13", "published_at": format!("{}T09:00:00Z", days_ago(40)), "body": "various bug fixes"}
    ])
}

/// A deployment of an official release that is not there: only its name is looked at.
fn official(settings: &str) -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.root.join("releases/11.7.12-team")).expect("made");
    std::fs::create_dir_all(place.root.join("run")).expect("made");
    std::os::unix::fs::symlink("releases/11.7.12-team", place.root.join("current")).expect("a link");
    write(&place, settings);
    place
}

fn write(place: &Place, settings: &str) {
    std::fs::write(place.root.join("mainstay.toml"), format!("edition = \"team\"\n{settings}"))
        .expect("written");
}

fn sources(advisories: &str, releases: &str) -> String {
    format!("[updates]\nadvisories = \"{advisories}\"\nreleases = \"{releases}\"\n")
}

fn watch(place: &Place) -> Ran {
    place.run(&["security", "watch", "--once"])
}

fn ids(security: &Value) -> Vec<&str> {
    let missing = security["missing"].as_array().expect("a list").iter();
    missing.map(|missing| missing["id"].as_str().expect("a text")).collect()
}

#[test]
fn what_is_missing_is_known_from_a_mirror_and_nothing_of_the_installation_is_sent() {
    let (feed, list) = (advisories().to_string(), releases().to_string());
    let server = Recorder::http(move |path| match path {
        "/old" => moved("/advisories"),
        "/advisories" => ok(&feed),
        _ => ok(&list),
    });
    let at = |path: &str| format!("http://127.0.0.1:{}/{path}", server.port);
    let place = official(&sources(&at("old"), &at("releases")));
    let before = place.run(&["security", "status"]).expect(0);
    assert!(
        before.stdout.contains("is not known") && before.stdout.contains("never read"),
        "{}",
        before.stdout
    );
    assert!(server.heard().is_empty(), "`status` asks nobody");

    let said = watch(&place).expect(0).stdout;
    assert!(
        said.contains("MMSA-2026-00601") && said.contains("30 days over-due; fixed in 11.7.13"),
        "{said}"
    );
    assert!(said.contains("11.7.16") && said.contains("high") && said.contains("7 days left"), "{said}");
    assert!(said.contains("1 row cannot be read") && said.contains("1 advisory is about plugins"), "{said}");
    assert!(said.contains("Next: `mainstay upgrade --to 11.7.16`"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    for request in server.heard() {
        let mut lines: Vec<String> = request.trim().lines().map(str::to_ascii_lowercase).collect();
        let first = lines.remove(0);
        assert!(
            ["get /old http/1.1", "get /advisories http/1.1", "get /releases http/1.1"].contains(&&*first),
            "{first}"
        );
        lines.sort();
        let host = format!("host: 127.0.0.1:{}", server.port);
        assert_eq!(lines, ["accept: */*", &host, "user-agent: mainstay"]);
    }
    let asked = server.heard().len();
    let status = place.run(&["security", "status", "--json"]).expect(0).json();
    assert_eq!(ids(&status), ["MMSA-2026-00601", "11.7.16"]);
    assert_eq!((&status["missing"][0]["days_left"], &status["newer"]), (&json!(-30), &json!("11.7.16")));
    assert_eq!(status["missing"][1]["deadline"], days_ago(-7));
    place.run(&["security", "status", "--check"]).expect(5);
    let line = place.run(&["status"]).stdout;
    assert!(
        line.contains("2 security fixes are missing, 1 of them over-due, the longest by 30 days"),
        "{line}"
    );
    assert_eq!(server.heard().len(), asked, "nobody else was asked");
    // Nothing may be installed by itself, unless the file says so.
    let update = place.run(&["security", "update", "--json"]).expect(0).json();
    assert_eq!((&update["decision"], &update["policy"]), (&json!("nothing"), &json!("none")));
    let planned = |policy: &str| {
        write(
            &place,
            &format!(
                "{}policy = \"{policy}\"\nwindow = \"daily 00:00-24:00\"\nfreeze = [\"{}\"]\n",
                sources(&at("old"), &at("releases")),
                days_ago(0)
            ),
        );
        place.run(&["security", "update", "--plan", "--json"]).expect(0).json()
    };
    let frozen = planned("security");
    assert_eq!(
        (&frozen["decision"], &frozen["to"], &frozen["target"]["fixes"]),
        (&json!("frozen"), &json!("11.7.16"), &json!(2))
    );
}

#[test]
fn a_hostile_source_changes_nothing_that_is_known() {
    let feed = advisories().to_string();
    let whole = feed.clone();
    let older = json!([{"issue_id": "MMSA-2020-1", "platform": "Mattermost Server", "fix_versions": "5.1.1", "fix_release_date": "2020-01-01"}]).to_string();
    let server = Recorder::http(move |path| match path {
        "/cut" => ok(&whole[..whole.len() / 2]),
        "/short" => {
            let mut answer = ok(&whole);
            answer.truncate(answer.len() - 10);
            answer
        }
        "/page" => ok("<html><title>Sign in</title>"),
        "/object" => ok(r#"{"message": "API rate limit exceeded"}"#),
        "/empty" => ok("[]"),
        "/old" => ok(&older),
        "/deep" => ok(&"[".repeat(100_000)),
        "/huge" => ok(&" ".repeat((16 << 20) + 1)),
        "/file" => moved("file:///etc/passwd"),
        "/ring" => moved("/ring"),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    });
    let files = tempfile::tempdir().expect("a directory");
    let (good, list) = (files.path().join("feed.json"), files.path().join("releases.json"));
    std::fs::write(&good, &feed).expect("written");
    std::fs::write(&list, releases().to_string()).expect("written");
    let (good, list) = (good.display().to_string(), list.display().to_string());
    let place = official(&sources(&good, &list));
    watch(&place).expect(0);
    let known = place.run(&["security", "status", "--json"]).expect(0).json();
    for (path, why) in [
        ("cut", "it is cut off"),
        ("short", "did not come"),
        ("page", "is not JSON: line 1"),
        ("object", "not an array"),
        ("empty", "has no advisory in it"),
        ("old", "it is an old copy, and is not used"),
        ("deep", "is not JSON"),
        ("huge", "is larger than 16777216 bytes"),
        ("file", "neither http nor https"),
        ("ring", "one address after the other"),
        ("none", "there is no http"),
    ] {
        write(&place, &sources(&format!("http://127.0.0.1:{}/{path}", server.port), &list));
        let said = watch(&place).expect(4);
        assert!(said.stderr.contains(why) && said.stderr.contains("is kept"), "{path}: {}", said.stderr);
        let now = place.run(&["security", "status", "--json"]).expect(0).json();
        assert_eq!(
            (ids(&now), &now["known"]["advisories"]["read"]),
            (ids(&known), &known["known"]["advisories"]["read"]),
            "{path}"
        );
        assert!(
            now["known"]["advisories"]["failed"]["why"].as_str().is_some_and(|said| said.contains(why)),
            "{path}"
        );
    }
    write(&place, &sources("/nowhere/feed.json", &list));
    assert!(watch(&place).expect(4).stderr.contains("cannot read /nowhere/feed.json"));
    write(&place, &sources(&good, &list));
    watch(&place).expect(0);
    for (settings, says) in [
        (
            "window = \"Sat\"",
            "mainstay.toml:3: `updates.window` has `Sat`, which has no two times; allowed: a day",
        ),
        (
            "policy = \"all\"",
            "mainstay.toml:3: `updates.policy` is `all`, which is not one of its words; allowed: none, security, patch, esr",
        ),
        (
            "freeze = [\"2026-12-32\"]",
            "mainstay.toml:3: `updates.freeze` has `2026-12-32`, which is not a day",
        ),
        (
            "delay = \"2\"",
            "mainstay.toml:3: `updates.delay` is `2`, which is not such a number of days; allowed: a number of days from 0d",
        ),
        (
            "advisories = \"feed.json\"",
            "mainstay.toml:3: `updates.advisories` is `feed.json`, which is neither an address nor an absolute path",
        ),
        ("windw = \"x\"", "did you mean `updates.window`?"),
    ] {
        write(&place, &format!("[updates]\n{settings}\n"));
        let refused = place.run(&["security", "status"]).expect(3);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
}

#[test]
fn what_is_new_is_told_once_by_mail_by_a_webhook_and_by_the_hook() {
    let (mail, hook) = (Recorder::smtp(), Recorder::http(|_| ok("ok")));
    let files = tempfile::tempdir().expect("a directory");
    // The hook runs as a user of its own.
    std::fs::set_permissions(files.path(), PermissionsExt::from_mode(0o777)).expect("a mode");
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (feed, list) =
        (file("feed.json", &advisories().to_string()), file("releases.json", &releases().to_string()));
    let address = file("webhook", &format!("http://127.0.0.1:{}/hooks/secret\n", hook.port));
    let told = files.path().join("told");
    let settings = |port: u16| {
        format!(
            "{}mail = \"ops@example.com\"\nwebhook = \"{address}\"\n[mattermost.EmailSettings]\nSMTPServer = \"127.0.0.1\"\n\
             SMTPPort = \"{port}\"\nFeedbackEmail = \"chat@example.com\"\n",
            sources(&feed, &list)
        )
    };
    let place = official(&settings(mail.port));
    std::fs::create_dir(place.root.join("hooks")).expect("made");
    let tell = place.root.join("hooks/tell");
    let script = format!("#!/bin/sh\n{{ echo \"$REASON|$OLD|$DIR\"; cat; }} >> {}\n", told.display());
    std::fs::write(&tell, script).expect("written");
    std::fs::set_permissions(&tell, PermissionsExt::from_mode(0o755)).expect("a mode");

    let watched = place.run(&["security", "watch", "--once", "--json"]).expect(0).json();
    assert_eq!((&watched["told"], &watched["not_told"]), (&json!(3), &Value::Null), "{watched}");
    let [letter] = &mail.heard()[..] else { panic!("one letter: {:?}", mail.heard()) };
    assert!(
        letter.contains("RCPT TO:<ops@example.com>") && letter.contains("MAIL FROM:<chat@example.com>"),
        "{letter}"
    );
    let [posted] = &hook.heard()[..] else { panic!("one post: {:?}", hook.heard()) };
    assert!(
        posted.starts_with("POST /hooks/secret ")
            && posted.contains("MMSA-2026-00601 (high): 30 days over-due"),
        "{posted}"
    );
    let heard = std::fs::read_to_string(&told).expect("the hook ran");
    assert!(
        heard.starts_with("2 security fixes are missing, 1 security fix is over-due|11.7.12-team|"),
        "{heard}"
    );
    assert!(heard.contains("11.7.16 (high): 7 days left"), "{heard}");
    watch(&place).expect(0);
    assert_eq!((mail.heard().len(), hook.heard().len()), (1, 1), "each thing is told once");

    // A mail server that is down warns, and keeps nobody else from being told.
    std::fs::remove_file(place.root.join("updates.json")).expect("removed");
    write(&place, &settings(crate::place::free_port()));
    let watched = place.run(&["security", "watch", "--once", "--json"]).expect(0).json();
    let why = watched["not_told"][0].as_str().expect("a text");
    assert!(why.starts_with("mail to ops@example.com: "), "{why}");
    assert_eq!((mail.heard().len(), hook.heard().len()), (1, 2));
    assert!(
        place.run(&["security", "status"]).expect(0).stdout.contains("Not told   mail to ops@example.com")
    );
    // A hook that anybody may change does not run.
    std::fs::set_permissions(&tell, PermissionsExt::from_mode(0o777)).expect("a mode");
    std::fs::remove_file(place.root.join("updates.json")).expect("removed");
    let watched = place.run(&["security", "watch", "--once", "--json"]).expect(0).json();
    assert!(watched["not_told"].to_string().contains("can be changed by others"), "{watched}");
}
