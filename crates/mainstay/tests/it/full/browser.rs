//! The four tests in a real Chromium.

use crate::place::Place;

#[test]
fn the_web_client_passes_the_programs_tests() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let shots = place.root.parent().expect("a parent").join("shots");
    let report = place.root.parent().expect("a parent").join("report.md");
    let ran = place.run(&[
        "verify",
        "--browser",
        "--json",
        "--screenshots",
        &shots.to_string_lossy(),
        "--report",
        &report.to_string_lossy(),
    ]);
    let ran = ran.expect(0);
    let verified = ran.json();
    assert_eq!(verified["passed"], true, "{verified:#}");
    let pictures = std::fs::read_dir(&shots).expect("screenshots").count();
    assert!(pictures >= 5, "{pictures} screenshots");
    let markdown = std::fs::read_to_string(&report).expect("the report");
    assert!(markdown.contains(": passed") && markdown.contains("!["), "{markdown}");
}
