//! The plan that was agreed to is the plan that runs.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use deploy::{Action, Caller, Consent, Error, Layout, Looking, Operation, World};
use plan::{Event, Faults, Plan, Step, Undo};
use tokio_util::sync::CancellationToken;

/// Moves the files that are there aside. What is there is what it looks at.
struct Tidy;

fn world(root: &Path) -> World {
    World::new(Layout::new(root), "/nowhere/mainstay".into(), "0.1.0", [].into())
}

fn names(root: &Path) -> Vec<String> {
    let there = ["mainstay.toml", "secrets.toml"].into_iter().filter(|name| root.join(name).exists());
    there.map(str::to_owned).collect()
}

impl Operation for Tidy {
    const NAME: &'static str = "tidy";
    type Seen = Vec<String>;
    type Report = Vec<String>;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Vec<String>, Error> {
        Ok(names(world.layout.root()))
    }

    fn plan(&self, _: &World, seen: &Vec<String>) -> Result<Plan<Action>, Error> {
        let step = |(index, name): (usize, &String)| {
            let action = serde_json::json!({
                "action": "removal", "names": [name], "aside": index.to_string(), "keeps_data": true
            });
            Step {
                name: format!("move-{index}"),
                title: format!("Move {name}"),
                undo: Undo::by("Move it back"),
                snapshot: false,
                checkpoint: false,
                estimate: std::time::Duration::ZERO,
                action: serde_json::from_value(action).expect("an action"),
            }
        };
        Ok(Plan::new(Self::NAME, format!("Tidy {seen:?}"), seen.iter().enumerate().map(step).collect()))
    }

    async fn report(&self, _: &World, seen: Vec<String>, _: bool) -> Result<Vec<String>, Error> {
        Ok(seen)
    }
}

fn caller<'a>(events: &'a mut Vec<Event>, consent: Consent<'a>) -> Caller<'a> {
    Caller {
        who: "ann".to_owned(),
        why: "to test".to_owned(),
        reader: events,
        faults: Faults::default(),
        cancel: CancellationToken::new(),
        consent,
    }
}

/// What another operation does while the question stands.
fn another_operation(root: &Path) {
    let root = root.to_owned();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut events = Vec::new();
            let done = deploy::run(&Tidy, &world(&root), caller(&mut events, Consent::Given)).await;
            assert_eq!(done.expect("done").expect("agreed"), ["mainstay.toml"]);
        });
        std::fs::write(root.join("secrets.toml"), "").expect("a file");
    });
    other.join().expect("the other operation is done");
}

fn deployment() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mainstay.toml"), "").expect("a file");
    dir
}

fn run_with(root: &Path, ask: &mut deploy::Question<'_>) -> (Result<Option<Vec<String>>, Error>, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut events = Vec::new();
    let ran = runtime.block_on(deploy::run(&Tidy, &world(root), caller(&mut events, Consent::Ask(ask))));
    (ran, events)
}

#[test]
fn where_another_operation_came_between_the_new_plan_is_told_and_asked_about() {
    let dir = deployment();
    let asked = Cell::new(Vec::new());
    let mut ask = |plan: Option<&Plan<Action>>| {
        let mut titles = asked.take();
        titles.push(plan.expect("a plan").title.clone());
        if titles.len() == 1 {
            another_operation(dir.path());
        }
        asked.set(titles);
        Ok(true)
    };
    let (ran, events) = run_with(dir.path(), &mut ask);
    assert_eq!(ran.expect("done").expect("agreed"), ["secrets.toml"]);
    assert_eq!(asked.take(), [r#"Tidy ["mainstay.toml"]"#, r#"Tidy ["secrets.toml"]"#]);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Replanned { title } if title.contains("secrets.toml")))
    );
}

#[test]
fn who_does_not_agree_changes_nothing_and_who_agrees_is_asked_once() {
    let dir = deployment();
    let (ran, events) = run_with(dir.path(), &mut |_| Ok(false));
    assert!(ran.expect("no error").is_none() && events.is_empty());
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1, "nothing was made");
    let count = AtomicU32::new(0);
    let (ran, _) = run_with(dir.path(), &mut |plan| {
        assert_eq!(plan.expect("a plan").steps.len(), 1);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    });
    assert_eq!(ran.expect("done").expect("agreed"), ["mainstay.toml"]);
    assert_eq!(count.into_inner(), 1);
}
