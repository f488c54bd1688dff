//! The promise: killed anywhere, a run ends in the old state or the new one, and the journal says which.

use crate::{
    case::{Case, files},
    job::Job,
    victim,
    world::{Fate, World},
};
use plan::{Engine, Faults, Holder, Journal, Lock, Outcome, Phase, Recovery};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::ExitStatus,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Every moment of a dozen random runs, and on top of it kills during recovery.
#[test]
fn killed_at_every_moment() {
    let (next_seed, kills) = (AtomicU64::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while kills.load(Ordering::SeqCst) < 300 {
                    kill_all_through(next_seed.fetch_add(1, Ordering::SeqCst), &kills);
                }
            });
        }
    });
    assert!(kills.into_inner() >= 300);
}

fn kill_all_through(seed: u64, kills: &AtomicU32) {
    let random = &mut StdRng::seed_from_u64(seed);
    let case = Case::random(seed);
    let cancel_at = random.random_bool(0.25).then(|| random.random_range(0..25));
    for kill_at in 0.. {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path();
        case.create(root);
        let job =
            Job::Run { root: root.to_owned(), plan: case.plan.clone(), kill_at: Some(kill_at), cancel_at };
        let alive = survives(&job);
        let mut history = vec![];
        for chance in [0.6, 0.3] {
            let recovery = if random.random() { Recovery::Resume } else { Recovery::Undo };
            let kill_at = random.random_bool(chance).then(|| random.random_range(0..12));
            let job = Job::Recover { root: root.to_owned(), recovery, healed: random.random(), kill_at };
            kills.fetch_add(u32::from(!survives(&job)), Ordering::SeqCst);
            history.push(job);
        }
        settle(root);
        check(
            root,
            &case,
            &format!("seed {seed}, killed at {kill_at}, cancelled at {cancel_at:?}, then {history:?}"),
        );
        if alive {
            // Cancelled at once, a run has four moments.
            assert!(kill_at >= 4, "seed {seed} was killed only {kill_at} times");
            return;
        }
        kills.fetch_add(1, Ordering::SeqCst);
    }
}

/// From outside, at no chosen moment: also in the middle of SQLite's own writes.
#[test]
fn killed_at_any_time() {
    let random = &mut StdRng::seed_from_u64(7);
    let mut usual = Duration::from_millis(50);
    let mut kills = 0;
    for seed in 1000..1060 {
        let case = Case::random(seed);
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path();
        case.create(root);
        let job = Job::Run { root: root.to_owned(), plan: case.plan.clone(), kill_at: None, cancel_at: None };
        let begun = Instant::now();
        let mut child = victim(&job).spawn().expect("the victim starts");
        thread::sleep(usual.mul_f64(random.random_range(0.0..1.2)));
        child.kill().expect("the victim is ours to kill");
        if killed(child.wait().expect("the victim ends")) {
            kills += 1;
        } else {
            usual = begun.elapsed();
        }
        settle(root);
        check(root, &case, &format!("seed {seed}, killed from outside"));
    }
    assert!(kills >= 20, "only {kills} victims were killed before their end");
}

fn survives(job: &Job) -> bool {
    !killed(victim(job).status().expect("the victim starts"))
}

fn killed(status: ExitStatus) -> bool {
    assert!(status.success() || status.signal() == Some(9), "the victim ended by itself: {status}");
    !status.success()
}

fn settle(root: &Path) {
    let job = Job::Recover { root: root.to_owned(), recovery: Recovery::Resume, healed: true, kill_at: None };
    assert!(survives(&job));
}

fn check(root: &Path, case: &Case, history: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let run = runtime.block_on(async {
        let journal = Journal::open(&root.join("state.db")).await.expect(history);
        journal.runs(1).await.expect(history).pop()
    });
    let files = files(root);
    match run.map(|run| run.state.phase) {
        // Killed before the run was noted.
        None | Some(Phase::Undone) => assert_eq!(files, case.old, "{history}"),
        Some(Phase::Done) => assert_eq!(Some(files), case.new, "{history}"),
        Some(phase) => panic!("left at {phase:?}: {history}"),
    }
}

/// Undisturbed, the deeds do what the model says: without this, the tests above would prove little.
#[tokio::test]
async fn left_alone() {
    let mut done = 0;
    for seed in 0..40 {
        let case = Case::random(seed);
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path();
        case.create(root);
        let journal = Journal::open(&root.join("state.db")).await.expect("the journal opens");
        let holder = Holder::new("a test", "change", "to see the end", "0.1.0");
        let lock = Lock::acquire(&root.join("lock"), &holder).expect("the lock is free");
        let fate = Fate::new(None, None);
        let cancel = fate.cancel.clone();
        let world = World::open(root, true, fate);
        let mut unread = ();
        let mut engine = Engine::new(&journal, &lock, &mut unread, Faults::default(), cancel);
        let outcome = engine.run(&case.plan, &world).await.expect("the plan runs");
        done += u32::from(matches!(outcome, Outcome::Done { .. }));
        match (outcome, &case.new) {
            (Outcome::Done { .. }, Some(new)) => assert_eq!(&files(root), new, "seed {seed}"),
            (Outcome::Undone { .. }, None) => assert_eq!(files(root), case.old, "seed {seed}"),
            (outcome, _) => panic!("seed {seed}: {outcome:?}"),
        }
    }
    assert!((10..=30).contains(&done), "{done} of 40 plans succeed: too few of one kind");
}
