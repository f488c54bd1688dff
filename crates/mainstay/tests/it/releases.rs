//! `mainstay release lines` and `mainstay release path`.

use serde_json::{Value, json};

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
