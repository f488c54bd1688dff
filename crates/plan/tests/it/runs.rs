//! What a run does, says and leaves in the journal, in one process.

use plan::{
    Action, Engine, EngineError, EntryKind, Event, Failure, FaultError, FaultKind, Faults, Holder, Journal,
    Lock, Outcome, Phase, Plan, PlanError, Progress, Recovery, Step, Undo, Unit,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Mutex, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    Act,
    Fail,
    Panic,
    /// Waits for a cancellation that the action itself asks for.
    WaitToBeCancelled,
    /// Acts; its undo fails until the stage is mended.
    Jam,
    /// Serialises to something that does not come back.
    #[serde(skip_deserializing)]
    Unreadable,
}

#[derive(Default)]
struct Stage {
    calls: Mutex<Vec<String>>,
    /// The bytes beside the journal that are kept for an undo, at each call.
    room: Mutex<Vec<u64>>,
    journal: PathBuf,
    cancel: CancellationToken,
    mended: bool,
}

impl Stage {
    fn note(&self, call: String) {
        self.room.lock().unwrap().push(Journal::room(&self.journal));
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

/// Notes when a step's future is dropped.
struct Dropped<'a>(&'a Stage);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.note("dropped".to_owned());
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Act {
    name: String,
    part: Part,
}

impl Action for Act {
    type World = Stage;

    async fn apply(&self, stage: &Stage, progress: &Progress) -> Result<Value, Failure> {
        stage.note(format!("apply {}", self.name));
        match self.part {
            Part::Fail => Err(Failure::new("no room").hint("make some").detail("errno 28").code(4)),
            Part::Panic => panic!("the sky fell"),
            Part::WaitToBeCancelled => {
                let _dropped = Dropped(stage);
                stage.cancel.cancel();
                std::future::pending().await
            }
            Part::Act | Part::Jam | Part::Unreadable => {
                progress.say("half way");
                progress.at(1, 1, Unit::Items);
                Ok(json!({ "made": self.name }))
            }
        }
    }

    async fn undo(&self, stage: &Stage, output: Option<&Value>, _: &Progress) -> Result<(), Failure> {
        let output = output.map_or("nothing".to_owned(), Value::to_string);
        stage.note(format!("undo {} given {output}", self.name));
        match self.part {
            Part::Jam if !stage.mended => Err(Failure::new("jammed")),
            _ => Ok(()),
        }
    }
}

/// A plan of steps `a`, `b`, ... `Look`-like steps are written in capitals: they have nothing to undo.
fn plan(parts: &[(&str, Part)]) -> Plan<Act> {
    let step = |&(name, part): &(&str, Part)| Step {
        name: name.to_ascii_lowercase(),
        title: format!("Make {name}"),
        undo: match name {
            _ if name == name.to_ascii_lowercase() => Undo::by(format!("Unmake {name}")),
            _ if name.contains('!') => Undo::impossible("only a backup brings it back"),
            _ => Undo::Nothing,
        },
        snapshot: false,
        checkpoint: false,
        estimate: Duration::from_millis(20),
        action: Act { name: name.to_owned(), part },
    };
    Plan::new("up", "Make it", parts.iter().map(step).collect())
}

struct Scene {
    _place: TempDir,
    journal: Journal,
    lock: Lock,
    stage: Stage,
    events: Vec<Event>,
    faults: Faults,
}

impl Scene {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let journal = Journal::open(&place.path().join("state.db")).await.unwrap();
        let lock =
            Lock::acquire(&place.path().join("lock"), &Holder::new("ann", "up", "to test", "0.1.0")).unwrap();
        let (events, faults) = Default::default();
        let stage = Stage { journal: journal.path().to_owned(), ..Stage::default() };
        Self { _place: place, journal, lock, stage, events, faults }
    }

    fn engine(&mut self) -> (Engine<'_, Act>, &Stage) {
        let cancel = self.stage.cancel.clone();
        let engine = Engine::new(&self.journal, &self.lock, &mut self.events, self.faults.clone(), cancel);
        (engine, &self.stage)
    }

    async fn run(&mut self, plan: &Plan<Act>) -> Result<Outcome, EngineError> {
        let (mut engine, stage) = self.engine();
        engine.run(plan, stage).await
    }

    async fn recover(&mut self, recovery: Recovery) -> Option<Outcome> {
        let (mut engine, stage) = self.engine();
        engine.recover(stage, recovery).await.unwrap()
    }

    /// The last run's entries, as `step word`.
    async fn entries(&self) -> Vec<String> {
        let run = self.journal.runs(1).await.unwrap().pop().unwrap();
        run.entries.iter().map(|entry| format!("{} {}", entry.step, entry.kind.word())).collect()
    }
}

#[tokio::test]
async fn a_plan_runs_to_its_end() {
    let mut scene = Scene::new().await;
    let outcome = scene.run(&plan(&[("a", Part::Act), ("B", Part::Act)])).await.unwrap();
    let Outcome::Done { run, outputs } = outcome else { panic!("{outcome:?}") };
    assert_eq!(outputs["a"], json!({ "made": "a" }));
    assert_eq!(scene.stage.calls(), ["apply a", "apply B"]);
    assert_eq!(scene.entries().await, ["a started", "a succeeded", "b started", "b succeeded"]);

    let noted = scene.journal.runs(10).await.unwrap().pop().unwrap();
    assert_eq!((noted.id, noted.who.as_str(), noted.why.as_str()), (run, "ann", "to test"));
    assert_eq!((noted.plan.title.as_str(), noted.state.phase), ("Make it", Phase::Done));
    assert!(noted.finished_at.unwrap() >= noted.started_at);
    assert!(scene.journal.unfinished::<Act>().await.unwrap().is_none());
}

#[tokio::test]
async fn room_is_kept_on_the_disk_until_the_run_turns_round() {
    let mut scene = Scene::new().await;
    let room = |scene: &Scene| std::mem::take(&mut *scene.stage.room.lock().unwrap());
    const KEPT: u64 = 8 << 20;
    scene.run(&plan(&[("a", Part::Act), ("b", Part::Act)])).await.unwrap();
    assert_eq!(room(&scene), [KEPT, KEPT]);
    assert_eq!(Journal::room(scene.journal.path()), 0, "nothing is left of it");
    scene.run(&plan(&[("a", Part::Jam), ("b", Part::Fail)])).await.unwrap();
    assert_eq!(room(&scene), [KEPT, KEPT, 0, 0], "an undo has it");
    scene.stage.mended = true;
    scene.recover(Recovery::Resume).await.unwrap();
    assert_eq!(room(&scene), [0]);
}

#[tokio::test]
async fn events_tell_the_run_in_order() {
    let mut scene = Scene::new().await;
    scene.run(&plan(&[("a", Part::Act), ("b", Part::Fail)])).await.unwrap();
    let told: Vec<Value> = scene.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let types: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let forward = ["run-started", "step-started", "said", "progress", "step-succeeded"];
    let back =
        ["step-started", "step-failed", "undo-started", "undo-finished", "undo-started", "undo-finished"];
    assert_eq!(types, [&forward[..], &back, &["run-finished"]].concat());

    let heading = json!({
        "step": "a", "title": "Make a", "undo": "Unmake a", "estimate_ms": 20, "done": false
    });
    assert_eq!(told[0]["steps"][0], heading);
    assert_eq!(told[1], json!({ "type": "step-started", "run": 1, "step": "a", "index": 0, "of": 2 }));
    assert_eq!(
        (&told[3]["done"], &told[3]["total"], &told[3]["unit"]),
        (&json!(1), &json!(1), &json!("items"))
    );
    assert_eq!(told[6]["failure"]["hint"], "make some");
    assert_eq!(told[7]["undo"], "Unmake b");
    assert_eq!(told[11]["outcome"]["type"], "undone");
    let read_back: Vec<Event> =
        told.into_iter().map(|event| serde_json::from_value(event).unwrap()).collect();
    assert_eq!(read_back, scene.events);
}

#[tokio::test]
async fn a_failure_is_undone_backwards_and_outputs_are_handed_back() {
    let mut scene = Scene::new().await;
    let outcome = scene.run(&plan(&[("a", Part::Act), ("B", Part::Act), ("c", Part::Fail)])).await.unwrap();
    let Outcome::Undone { step, failure, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((step.as_str(), failure.code), ("c", Some(4)));
    assert_eq!(
        scene.stage.calls(),
        ["apply a", "apply B", "apply c", "undo c given nothing", r#"undo a given {"made":"a"}"#]
    );
    let back = ["c undo-started", "c undo-finished", "a undo-started", "a undo-finished"];
    assert_eq!(scene.entries().await[5..], [&["c failed"], &back[..]].concat());
    let run = scene.journal.runs(1).await.unwrap().pop().unwrap();
    assert_eq!(run.entries[5].kind, EntryKind::Failed(failure));
}

#[tokio::test]
async fn what_cannot_be_undone_is_named_unless_a_snapshot_brought_it_back() {
    let mut scene = Scene::new().await;
    let mut plan = plan(&[("a", Part::Act), ("Migrate!", Part::Act), ("c", Part::Fail)]);
    plan.steps[1].name = "migrate".to_owned();
    let refused = scene.run(&plan).await.unwrap_err();
    assert!(matches!(refused, EngineError::Plan(PlanError::NoSnapshot { .. })), "{refused}");
    assert!(scene.stage.calls().is_empty() && scene.journal.runs(1).await.unwrap().is_empty());

    plan.without_snapshot = Some("nothing is installed yet".to_owned());
    let Outcome::Undone { not_undone, .. } = scene.run(&plan).await.unwrap() else { panic!("undone") };
    let [lasting] = &not_undone[..] else { panic!("{not_undone:?}") };
    assert_eq!((lasting.step.as_str(), lasting.why.as_str()), ("migrate", "only a backup brings it back"));

    // Undone before the step began: nothing of it is left.
    plan.steps.swap(1, 2);
    let Outcome::Undone { not_undone, .. } = scene.run(&plan).await.unwrap() else { panic!("undone") };
    assert_eq!(not_undone, []);
    plan.steps.swap(1, 2);
    plan.steps[0].snapshot = true;
    let Outcome::Undone { not_undone, .. } = scene.run(&plan).await.unwrap() else { panic!("undone") };
    assert_eq!(not_undone, [], "the snapshot's undo brought it back");
}

#[tokio::test]
async fn a_failed_undo_needs_you_and_is_tried_again() {
    let mut scene = Scene::new().await;
    let plan = plan(&[("a", Part::Act), ("b", Part::Jam), ("c", Part::Fail)]);
    for attempt in 0..2 {
        let outcome = match attempt {
            0 => scene.run(&plan).await.unwrap(),
            _ => scene.recover(Recovery::Resume).await.unwrap(),
        };
        let Outcome::NeedsYou { step, undo, failure, failed_step, cause, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((step.as_str(), undo.as_str(), failure.message.as_str()), ("b", "Unmake b", "jammed"));
        assert_eq!((failed_step.as_str(), cause.message.as_str()), ("c", "no room"));
    }
    let (_, noted, state) = scene.journal.unfinished::<Act>().await.unwrap().unwrap();
    assert_eq!(noted, plan);
    assert_eq!(state.phase, Phase::Stuck(1, Failure::new("jammed")));

    let refused = scene.run(&plan).await.unwrap_err();
    assert!(matches!(refused, EngineError::Unfinished { .. }), "{refused}");

    scene.stage.mended = true;
    let outcome = scene.recover(Recovery::Undo).await.unwrap();
    assert!(matches!(&outcome, Outcome::Undone { step, .. } if step == "c"), "{outcome:?}");
    assert_eq!(scene.recover(Recovery::Undo).await, None);
    let calls = scene.stage.calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("undo b")).count(), 3);
    assert_eq!(calls.last().unwrap(), r#"undo a given {"made":"a"}"#);
}

#[tokio::test]
async fn a_cancelled_step_is_dropped_before_it_is_undone() {
    let mut scene = Scene::new().await;
    let plan = plan(&[("a", Part::Act), ("b", Part::WaitToBeCancelled), ("c", Part::Act)]);
    let outcome = scene.run(&plan).await.unwrap();
    let Outcome::Undone { step, failure, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((step.as_str(), failure.message.as_str()), ("b", "interrupted"));
    assert_eq!(scene.stage.calls()[2..4], ["dropped", "undo b given nothing"]);
}

#[tokio::test]
async fn a_panic_is_a_failure_and_is_undone() {
    let mut scene = Scene::new().await;
    let outcome = scene.run(&plan(&[("a", Part::Act), ("b", Part::Panic)])).await.unwrap();
    let Outcome::Undone { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.detail.as_str(), failure.code), ("the sky fell", Some(1)));
    assert_eq!(scene.stage.calls().last().unwrap(), r#"undo a given {"made":"a"}"#);
}

#[tokio::test]
async fn injected_failures_strike_where_they_are_told() {
    let plan = plan(&[("a", Part::Act), ("b", Part::Act)]);
    let undo_a = r#"undo a given {"made":"a"}"#;
    for (fault, calls) in [
        ("b:before", vec!["apply a", "undo b given nothing", undo_a]),
        ("b:after", vec!["apply a", "apply b", "undo b given nothing", undo_a]),
    ] {
        let mut scene = Scene::new().await;
        scene.faults = Faults::default().with(fault, FaultKind::Fail).unwrap();
        let outcome = scene.run(&plan).await.unwrap();
        assert!(matches!(&outcome, Outcome::Undone { step, .. } if step == "b"), "{outcome:?}");
        assert_eq!(scene.stage.calls(), calls, "{fault}");
    }

    let mut scene = Scene::new().await;
    let faults = Faults::default().with("b:before", FaultKind::Fail).unwrap();
    scene.faults = faults.with("a:undo", FaultKind::Fail).unwrap();
    let outcome = scene.run(&plan).await.unwrap();
    assert!(matches!(&outcome, Outcome::NeedsYou { step, .. } if step == "a"), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_it_is_noted() {
    let mut scene = Scene::new().await;
    let twice = scene.run(&plan(&[("a", Part::Act), ("A", Part::Act)])).await.unwrap_err();
    assert!(matches!(twice, EngineError::Plan(PlanError::Twice(name)) if name == "a"));
    let unreadable = scene.run(&plan(&[("a", Part::Unreadable)])).await.unwrap_err();
    assert!(matches!(unreadable, EngineError::Plan(PlanError::Unreadable(_))), "{unreadable}");
    scene.faults = Faults::default().with("z:before", FaultKind::Kill).unwrap();
    let unknown = scene.run(&plan(&[("a", Part::Act)])).await.unwrap_err();
    assert!(
        matches!(&unknown, EngineError::Fault(FaultError::Step { steps, .. }) if steps == "a"),
        "{unknown}"
    );
    assert_eq!(scene.journal.runs(10).await.unwrap(), []);
    assert_eq!(scene.stage.calls(), [""; 0]);
}

#[tokio::test]
async fn an_empty_plan_is_done_at_once() {
    let mut scene = Scene::new().await;
    let outcome = scene.run(&plan(&[])).await.unwrap();
    assert!(matches!(outcome, Outcome::Done { .. }));
    assert_eq!(scene.recover(Recovery::Resume).await, None);
}

#[tokio::test]
async fn another_process_reads_while_one_writes() {
    let mut scene = Scene::new().await;
    let reading = Journal::open_read_only(scene.journal.path()).await.unwrap();
    for n in 1..=3 {
        scene.run(&plan(&[("a", Part::Act)])).await.unwrap();
        assert_eq!(reading.runs(10).await.unwrap().len(), n);
        assert_eq!(reading.runs(1).await.unwrap()[0].id.to_string(), n.to_string());
    }
}

/// The binary spawns operations: a future that cannot move between threads would stop it from compiling.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_spawned() {
    let run = async {
        let mut scene = Scene::new().await;
        scene.run(&plan(&[("a", Part::Act)])).await.unwrap()
    };
    assert!(matches!(tokio::spawn(run).await.unwrap(), Outcome::Done { .. }));
}
