//! Rehearsals of upgrades: on a copy, with nothing of the running deployment touched.

use serde_json::{Value, json};

use super::managed::{self, sql};
use super::upgrade::{Before, Next, deployment, to};
use crate::place::{Place, Ran};

fn rehearse(place: &Place, next: Next, more: &[&str]) -> Ran {
    place.run(&to(next, &[&["--rehearse"], more].concat()))
}

/// Nothing of the running deployment was touched, and nothing of the copy is left.
async fn untouched(place: &Place, before: &Before) {
    assert_eq!(place.status()["agent"]["server"]["pid"], before.pid, "the server was not restarted");
    assert!(before.messages(place).await.contains("only the old release has this"));
    assert!(!place.root.join("drill").exists(), "the copy is removed");
    place.run(&["status", "--check"]).expect(0);
}

/// What the plan of an upgrade says besides its steps.
fn remarks(place: &Place) -> Vec<String> {
    let release = ["--edition", "builtin", "--to", "11.6.0+0.2.0", "--plan", "--json"];
    let planned = place.run(&to(Next::Good, &release)).expect(0).json();
    let remarks = planned["remarks"].as_array().cloned().unwrap_or_default();
    remarks.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_rehearsed_on_a_copy_and_predicted_from_it() {
    let place = managed::place("rehearse");
    managed::up(&place, &[]).expect(0);
    let before = deployment(&place).await;
    assert!(remarks(&place).iter().any(|remark| remark.contains("is not known")), "{:?}", remarks(&place));
    // Without a snapshot, one is made first.
    let rehearsed = rehearse(&place, Next::Good, &["--json"]).expect(0).json();
    assert_eq!(rehearsed["to"], "11.6.0+0.2.0-builtin", "{rehearsed}");
    assert_eq!(rehearsed["schema"]["tables_added"], json!(["newer"]), "{rehearsed}");
    assert!(rehearsed["migration_ms"].as_u64() > Some(0) && rehearsed["start_ms"].as_u64() > Some(0));
    assert!(rehearsed["locks_watched"] == true && rehearsed["checks"].as_u64() > Some(5), "{rehearsed}");
    assert!(rehearsed["compared"][0].as_str().expect("words").ends_with("as before"), "{rehearsed}");
    assert!(rehearsed["predicted_ms"].as_u64() > Some(0), "{rehearsed}");
    untouched(&place, &before).await;
    assert!(sql(&place, "select to_regclass('newer')").trim().is_empty(), "the database is as it was");
    assert_eq!(place.snapshots().len(), 1);
    let shown = place.run(&["status"]).expect(0).stdout;
    assert!(shown.contains("Rehearsed") && shown.contains("11.6.0+0.2.0-builtin at "), "{shown}");
    assert!(place.run(&["history"]).expect(0).stdout.contains("Rehearse the upgrade"));
    let remarks = remarks(&place);
    assert!(remarks.iter().any(|remark| remark.contains("(from the rehearsal of ")), "{remarks:?}");
    place.run(&["uninstall", "--yes"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_that_fails_or_is_killed_leaves_nothing() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    for (next, why) in [
        (Next::LosesAPost, "lost what people had: posts: 1 row is gone"),
        (Next::FailsToMigrate, "the migration 999 failed"),
    ] {
        let failed = rehearse(&place, next, &[]).expect(5);
        assert!(failed.stderr.contains(why), "{next:?}: {}", failed.stderr);
        untouched(&place, &before).await;
    }
    let status = place.status();
    assert!(status["rehearsals"]["failed"]["what"].as_str().expect("why").contains("999"), "{status}");
    for fault in ["scratch:after", "measure:after", "scratch-removal:before"] {
        let killed = rehearse(&place, Next::Good, &["--inject-kill", fault]);
        assert_eq!(killed.code, -9, "{fault}: {}", killed.stderr);
        assert!(place.root.join("drill").exists(), "{fault}");
        assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false, "{fault}");
        untouched(&place, &before).await;
    }
    let nothing = place.run(&["upgrade", "--rehearse"]).expect(0);
    assert!(nothing.stdout.contains("nothing newer"), "{}", nothing.stdout);
    assert!(rehearse(&place, Next::Good, &["--without-copy"]).code == 2);
}
