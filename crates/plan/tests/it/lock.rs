//! The lock between two real processes.

use crate::{job::Job, victim};
use plan::{Holder, Lock, LockError};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

#[test]
fn the_second_process_learns_who_holds_it_and_a_kill_sets_it_free() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lock");
    let me = Holder::new("root", "backup", "the weekly backup", "0.1.0");
    // An earlier holder with a longer record, which must not show through.
    let earlier =
        Holder::new("somebody with a long name", "upgrade", "a reason that goes on ".repeat(9), "0.1.0");
    drop(Lock::acquire(&path, &earlier).unwrap());

    let (who, operation, why) = ("ann".into(), "upgrade".into(), "to 11.7.15".into());
    let hold = Job::Hold { path: path.clone(), who, operation, why };
    let mut child = victim(&hold).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "held\n");

    let error = Lock::acquire(&path, &me).unwrap_err();
    let text = error.to_string();
    let LockError::Held { holder, path: named } = error else { panic!("{text}") };
    assert_eq!((holder.who.as_str(), holder.operation.as_str(), holder.pid), ("ann", "upgrade", child.id()));
    assert_eq!((holder.why.as_str(), &named), ("to 11.7.15", &path));
    assert!(holder.since >= earlier.since && holder.since <= jiff::Timestamp::now());
    assert!(text.contains("`upgrade` by ann") && text.contains("to 11.7.15"), "{text}");
    assert_eq!(Lock::present_holder(&path).unwrap(), Some(*holder));

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(Lock::present_holder(&path).unwrap(), None);
    let lock = Lock::acquire(&path, &me).unwrap();
    assert_eq!(lock.holder(), &me);
    assert_eq!(Lock::present_holder(&path).unwrap(), Some(me));
}

#[test]
fn of_many_at_once_one_wins_and_all_others_name_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lock");
    let attempts = std::thread::scope(|scope| {
        let attempt =
            |n: usize| Lock::acquire(&path, &Holder::new(format!("thread {n}"), "race", "to win", "0.1.0"));
        let threads: Vec<_> = (0..16).map(|n| scope.spawn(move || attempt(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let (won, lost): (Vec<_>, Vec<_>) = attempts.into_iter().partition(Result::is_ok);
    let winner = won.into_iter().map(Result::unwrap).map(|lock| lock.holder().clone()).collect::<Vec<_>>();
    assert_eq!((winner.len(), lost.len()), (1, 15));
    for error in lost.into_iter().map(Result::unwrap_err) {
        assert!(matches!(&error, LockError::Held { holder, .. } if **holder == winner[0]), "{error}");
    }
}

/// A process that is stopped while it reads or writes the record holds the gate.
#[test]
fn a_process_that_is_stopped_in_the_gate_keeps_nobody_waiting() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lock");
    let me = Holder::new("root", "backup", "the weekly backup", "0.1.0");
    let gate = std::fs::File::create(place.path().join("lock.gate")).unwrap();
    gate.lock().unwrap();
    let began = std::time::Instant::now();
    assert_eq!(Lock::present_holder(&path).unwrap(), None);
    let lock = Lock::acquire(&path, &me).unwrap();
    assert_eq!(Lock::present_holder(&path).unwrap(), Some(me.clone()));
    assert!(matches!(Lock::acquire(&path, &me), Err(LockError::Held { holder, .. }) if *holder == me));

    // Stopped before its record is whole, or with the record of an earlier holder in the file.
    let earlier = Holder { pid: 1, ..me.clone() };
    for record in [String::new(), "{\"who\":".to_owned(), serde_json::to_string(&earlier).unwrap()] {
        std::fs::write(&path, &record).unwrap();
        let holder = Lock::present_holder(&path).unwrap().expect("it is held");
        assert_eq!(holder.pid, std::process::id(), "{record}");
        assert_ne!(holder.who, me.who, "{record}");
        let ago = jiff::Timestamp::now().as_second() - holder.since.as_second();
        assert!((0..3600).contains(&ago), "{holder}");
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    drop(lock);
}

#[test]
fn a_place_that_cannot_hold_a_lock_is_named() {
    let error = Lock::acquire("/proc/lock".as_ref(), &Holder::new("me", "up", "", "0.1.0")).unwrap_err();
    assert!(matches!(error, LockError::Io { .. }));
    assert!(error.to_string().contains("/proc/lock"), "{error}");
}
