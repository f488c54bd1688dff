//! `mainstay release`: what there is, the way from one to another, and what is fetched.

use serde_json::{Value, json};

use testbed::release_site::ReleaseSite;

use crate::place::Place;

fn path(place: &Place, args: &[&str]) -> Value {
    let ran = place.run(&[&["release", "path"], args, &["--json"]].concat()).expect(0);
    serde_json::from_str(&ran.stdout).expect("one document")
}

#[test]
fn the_way_and_the_notes_of_a_config_are_told() {
    let place = Place::new();
    let legs = |told: &Value| {
        let legs = told["legs"].as_array().expect("legs").iter();
        legs.map(|leg| leg["version"].as_str().or(leg["leg"].as_str()).unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let told = path(&place, &["5.37.10", "11.7.15", "--database", "mysql-5.7"]);
    assert_eq!(legs(&told), ["7.1.9", "8.1.13", "move_to_postgres", "11.7.15"]);

    let config = place.root.join("a-config.json");
    std::fs::create_dir_all(&place.root).expect("a directory");
    let notes = |config_json: Value| {
        std::fs::write(&config, config_json.to_string()).expect("written");
        let config = config.to_str().expect("a name");
        let told = path(&place, &["11.7.15", "12.0.2", "--database", "postgres-15", "--config", config]);
        told["notes"]
            .as_array()
            .expect("notes")
            .iter()
            .filter(|note| note["stops_the_server"] == true)
            .count()
    };
    assert_eq!(notes(json!({})), 0);
    assert_eq!(notes(json!({"ImageProxySettings": {"ImageProxyType": "atmos/camo"}})), 1);
}

#[test]
fn what_cannot_be_gone_is_refused_and_what_cannot_be_read_is_told() {
    let place = Place::new();
    for (args, code, why) in [
        (&["10.11.23", "11.7.1"][..], 8, "11.7.3 is the first"),
        (&["11.7.15", "10.11"], 8, "older"),
        (&["10.11", "11.7"], 2, "three numbers"),
        (&["5.37.10", "newest"], 2, "esr, latest"),
        (&["5.37.10", "99.1"], 2, "release lines"),
        (&["5.37.10", "--database", "pg"], 2, "postgres-14"),
        (&["5.37.10", "--edition", "gold"], 2, "builtin, team"),
        (&["5.37.10", "--config", "/no/such/file"], 3, "/no/such/file"),
    ] {
        let ran = place.run(&[&["release", "path"], args].concat()).expect(code);
        assert!(ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn the_newest_line_comes_first() {
    let ran = Place::new().run(&["release", "lines", "--json"]).expect(0);
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let released: Vec<&str> = lines.iter().filter_map(|line| line["released"].as_str()).collect();
    assert!(released.len() > 3 && released.is_sorted_by(|newer, older| newer >= older), "{released:?}");
}

const PAGE: &str = "<code>https://releases.mattermost.com/11.7.16/mattermost-team-11.7.16-linux-amd64.tar.gz</code> SHA-256 Checksum: \
                    <code>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</code>";
const DATA: &str = r#"{"releases": {}, "versions": {"11.7.16": {"date": "2026-11-20"}}}"#;

#[test]
fn a_refreshed_catalogue_is_used_from_then_on() {
    let (place, site) = (Place::new(), ReleaseSite::start());
    let newest = || {
        let lines = place.run(&["release", "lines", "--json"]).expect(0).stdout;
        let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.find(|line| line["line"] == "11.7").expect("a line")["newest"].clone()
    };
    assert_eq!(newest(), "11.7.15");
    site.put("/archive", PAGE);
    site.put("/data", DATA);
    let (archive, data) = (format!("{}archive", site.url()), format!("{}data", site.url()));
    let refresh = ["release", "refresh", "--archive", &archive, "--lifecycle", &data];
    place.run(&[&refresh[..], &["--plan"]].concat()).expect(0);
    assert_eq!(newest(), "11.7.15", "a plan keeps nothing");
    place.run(&refresh).expect(0);
    assert_eq!(newest(), "11.7.16");
    site.put("/archive", "<html>Sign in</html>");
    let refused = place.run(&refresh).expect(4).stderr;
    assert!(refused.contains("another form") && refused.contains("is used on"), "{refused}");
    assert_eq!(newest(), "11.7.16");
}

#[test]
fn what_cannot_be_fetched_is_told_before_anybody_is_asked() {
    let place = Place::new();
    for (args, says) in [
        (&["esr", "--edition", "builtin"][..], "is in Mainstay itself"),
        (&["99.1"], "no such release line"),
        (&["10.11", "--edition", "entry"], "no Entry edition before 11.0"),
        (&["esr", "--mirror", "ftp://example.com/"], "allowed: http:// or https://"),
        (&["esr", "--arch", "sparc"], "amd64 and arm64"),
        (&["esr", "--fingerprint", "A1"], "40 hexadecimal digits"),
    ] {
        let ran = place.run(&[&["release", "fetch"], args].concat()).expect(2);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let away =
        place.run(&["release", "fetch", "11.7.15", "--mirror", "http://127.0.0.1:1/", "--key", "/no/key"]);
    let away = away.expect(4).stderr;
    assert!(away.contains("/no/key"), "{away}");
    let none = place.run(&["release", "verify", "/no/such/file"]).expect(4).stderr;
    assert!(none.contains("/no/such/file"), "{none}");
    let none = place.run(&["release", "prune", "--plan"]).expect(4).stderr;
    assert!(none.contains("there is no deployment"), "{none}");
}
