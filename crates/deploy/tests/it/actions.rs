//! `tests/golden/actions/NAME.N.json` is the N-th form that an action had in a journal. Every form is read for ever; the last one is
//! what is written now. An action whose JSON changes gets one more file.

use std::collections::BTreeMap;
use std::path::Path;

use deploy::Action;
use serde_json::{Value, json};

/// The files, by the action's name, oldest form first.
fn golden() -> BTreeMap<String, Vec<(String, Value)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/actions");
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry")).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut forms: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().into_string().expect("a name");
        let text = std::fs::read_to_string(file.path()).expect("text");
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let action = name.split('.').next().expect("a first part").to_owned();
        forms.entry(action).or_default().push((name, value));
    }
    forms
}

#[test]
fn every_form_that_an_action_ever_had_is_read() {
    for (name, form) in golden().values().flatten() {
        let action: Action =
            serde_json::from_value(form.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = serde_json::to_value(&action).expect("JSON");
        assert_eq!(again["action"], form["action"], "{name}");
    }
}

#[test]
fn the_last_form_of_each_action_is_what_is_written_now() {
    for forms in golden().values() {
        let (name, form) = forms.last().expect("one form");
        let action: Action = serde_json::from_value(form.clone()).expect("it is read");
        assert_eq!(
            serde_json::to_value(&action).expect("JSON"),
            *form,
            "{name}: add the next number with the new form"
        );
    }
}

#[test]
fn every_action_has_a_golden_file() {
    // serde lists the names that it knows.
    let unknown = serde_json::from_value::<Action>(json!({"action": "unknown"}))
        .expect_err("no such action")
        .to_string();
    let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    assert!(known.len() > 10, "{unknown}");
    let golden = golden();
    let missing: Vec<_> = known.iter().filter(|name| !golden.contains_key(**name)).collect();
    assert!(missing.is_empty(), "no golden file: {missing:?}");
}
