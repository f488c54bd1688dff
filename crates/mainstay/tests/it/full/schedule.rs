//! The schedule with real minutes: a run of its own process, its log, and what is remembered of it.

use std::time::{Duration, Instant};

use crate::place::{Place, eventually};

#[test]
fn an_operation_begins_by_itself_and_its_end_is_remembered() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let file = place.root.join("mainstay.toml");
    let before = std::fs::read_to_string(&file).expect("mainstay.toml");
    std::fs::write(&file, format!("{before}\n[schedule]\nverify = \"* * * * *\"\n")).expect("written");
    let up = place.up(&["--json"]).expect(0).json();
    assert_eq!(up["changed"], true, "{up}");
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    let waiting = place.status()["agent"]["schedule"][0].clone();
    assert_eq!(
        (&waiting["name"], &waiting["last"]),
        (&"verify".into(), &serde_json::Value::Null),
        "{waiting}"
    );
    let next = waiting["next"].as_i64().expect("a time");
    assert_eq!(next % 60_000, 0, "{waiting}");

    // The next full minute, and the run itself.
    let deadline = Instant::now() + Duration::from_secs(90);
    let ran = loop {
        let entry = place.status()["agent"]["schedule"][0].clone();
        if entry["last"]["ended"].is_i64() {
            break entry;
        }
        assert!(Instant::now() < deadline, "it does not run: {entry}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&ran["last"]["exit"], &ran["last"]["due"]), (&0.into(), &next.into()), "{ran}");
    assert_eq!((&ran["missed"], &ran["skipped"]), (&0.into(), &0.into()), "{ran}");
    let log = place.run(&["logs", "schedule"]).expect(0).stdout;
    let said = log.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    assert!(said.is_some_and(|report| report.is_object()), "no report in {log}");
    let text = place.run(&["status"]).expect(0).stdout;
    assert!(text.contains("verify: last run ") && text.contains("ended with code 0; next run "), "{text}");

    // Also by the next agent.
    let agent = place.status()["agent"]["agent_pid"].to_string();
    std::process::Command::new("kill").args(["-9", &agent]).status().expect("kill runs");
    eventually("the agent has gone", || place.status()["agent"].is_null());
    place.up(&[]).expect(0);
    let again = place.status()["agent"]["schedule"][0].clone();
    assert!(again["last"]["due"].as_i64() >= Some(next), "{again}");

    std::fs::write(&file, before).expect("written");
    place.up(&[]).expect(0);
    assert!(place.status()["agent"]["schedule"].is_null(), "nothing is scheduled any more");
}
