//! The process that the tests kill: runs a plan, recovers one, or holds a lock.

mod job;
mod world;

use job::Job;
use plan::{Engine, Event, Faults, Holder, Journal, Lock, Reader};
use std::{io::Write, path::Path};
use world::{Fate, Work, World};

/// Lets a kill in at every event: just after a journal entry is durable, or just before the next.
struct Fatal(Fate);

impl Reader for Fatal {
    fn read(&mut self, _: &Event) {
        self.0.tick();
    }
}

fn main() {
    let job = std::env::args().nth(1).expect("a job");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match serde_json::from_str(&job).expect("a job in JSON") {
        Job::Run { root, plan, kill_at, cancel_at } => {
            let fate = Fate::new(kill_at, cancel_at);
            runtime.block_on(async {
                let (journal, lock) = open(&root).await;
                let mut reader = Fatal(fate.clone());
                let cancel = fate.cancel.clone();
                let world = World::open(&root, false, fate);
                let mut engine = Engine::new(&journal, &lock, &mut reader, Faults::default(), cancel);
                engine.run(&plan, &world).await.expect("the plan runs");
            });
        }
        Job::Recover { root, recovery, healed, kill_at } => {
            let fate = Fate::new(kill_at, None);
            runtime.block_on(async {
                let (journal, lock) = open(&root).await;
                let mut reader = Fatal(fate.clone());
                let cancel = fate.cancel.clone();
                let world = World::open(&root, healed, fate);
                let mut engine = Engine::<Work>::new(&journal, &lock, &mut reader, Faults::default(), cancel);
                engine.recover(&world, recovery).await.expect("the plan is recovered");
            });
        }
        Job::Hold { path, who, operation, why } => {
            let _lock =
                Lock::acquire(&path, &Holder::new(who, operation, why, "0.1.0")).expect("the lock is free");
            std::io::stdout().write_all(b"held\n").expect("the test reads this");
            loop {
                std::thread::park();
            }
        }
    }
}

async fn open(root: &Path) -> (Journal, Lock) {
    let holder = Holder::new("a test", "change", "to be killed", "0.1.0");
    let lock = Lock::acquire(&root.join("lock"), &holder).expect("the lock is free");
    (Journal::open(&root.join("state.db")).await.expect("the journal opens"), lock)
}
