//! The schedule with real minutes: a run of its own process, its log, and what is remembered of it.

use std::time::{Duration, Instant};

use crate::place::{Place, eventually};

#[test]
fn an_operation_begins_by_itself_and_its_end_is_remembered() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let file = place.root.join("mainstay.toml");
    let before = std::fs::read_to_string(&file).expect("mainstay.toml");
    // One that fails before it asks for anything: its secrets are in a file that is not there.
    let deployer = format!(
        "apps-deployer = {{ cron = \"* * * * *\", bucket = \"bundles\", settings = \"{}/none.env\" }}",
        place.root.display()
    );
    let scheduled = format!("{before}\n[schedule]\nverify = \"* * * * *\"\n{deployer}\n");
    let entry = |name: &str| -> serde_json::Value {
        let status = place.status();
        let all = status["agent"]["schedule"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|entry| entry["name"] == name).unwrap_or_default()
    };
    std::fs::write(&file, scheduled).expect("written");
    let up = place.up(&["--json"]).expect(0).json();
    assert_eq!(up["changed"], true, "{up}");
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    let waiting = entry("verify");
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
        let (verify, deployer) = (entry("verify"), entry("apps-deployer"));
        if verify["last"]["ended"].is_i64() && deployer["last"]["ended"].is_i64() {
            break verify;
        }
        assert!(Instant::now() < deadline, "they do not run: {verify} {deployer}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!((&ran["last"]["exit"], &ran["last"]["due"]), (&0.into(), &next.into()), "{ran}");
    assert_eq!((&ran["missed"], &ran["skipped"]), (&0.into(), &0.into()), "{ran}");
    let log = place.run(&["logs", "schedule"]).expect(0).stdout;
    let said = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    assert!(said.into_iter().any(|report| report.is_object()), "no report in {log}");
    assert!(log.contains("none.env"), "{log}");
    let text = place.run(&["status"]).expect(0).stdout;
    assert!(text.contains("verify: last run ") && text.contains("ended with code 0; next run "), "{text}");

    let deployer = entry("apps-deployer");
    assert!(deployer["last"]["exit"].as_i64() > Some(0), "{deployer}");
    let history = place.run(&["history"]).expect(0).stdout;
    assert!(history.contains("schedule: verify ended with code 0"), "{history}");
    assert!(history.contains("schedule: apps-deployer ended with code "), "{history}");

    // Also by the next agent.
    let agent = place.status()["agent"]["agent_pid"].to_string();
    std::process::Command::new("kill").args(["-9", &agent]).status().expect("kill runs");
    eventually("the agent has gone", || place.status()["agent"].is_null());
    place.up(&[]).expect(0);
    let again = entry("verify");
    assert!(again["last"]["due"].as_i64() >= Some(next), "{again}");

    std::fs::write(&file, before).expect("written");
    place.up(&[]).expect(0);
    assert!(place.status()["agent"]["schedule"].is_null(), "nothing is scheduled any more");
}
