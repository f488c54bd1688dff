//! A program that nobody vouches for reaches nothing.
use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::confine::{Answer, Question, Unanswered, ask};

use crate::actor::confining;
use crate::is_root;

/// A script, in a directory that nobody but its owner may enter.
fn script(dir: &Path, text: &str) -> PathBuf {
    let closed = dir.join("closed");
    std::fs::create_dir_all(&closed).unwrap();
    let path = closed.join("program");
    std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn asked(dir: &Path, text: &str, limit: u64) -> Result<Answer, Unanswered> {
    let env = BTreeMap::from([("GIVEN".to_owned(), "this".to_owned())]);
    let program = script(dir, text);
    ask(
        &confining(),
        &Question { program, args: vec!["word".into()], env, limit: Duration::from_secs(limit) },
    )
}

/// What is said where there are no name spaces. Users other than root get none in this executable, because it has threads;
/// `mainstay` has none yet when it confines, and its own suite looks there.
fn without_name_spaces() -> Vec<&'static str> {
    let none = "to go on after its end: this machine offers no PID namespace";
    if is_root() { Vec::new() } else { vec![none] }
}

fn lines(answer: &Answer) -> Vec<&str> {
    answer.output.stdout.lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

#[test]
fn it_answers_as_nobody_and_sees_no_network_and_no_files_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("readable-by-all");
    std::fs::write(&open, "a secret").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let text = format!(
        r#"echo "> $GIVEN $1 $(id -u)"
cat {open} >/dev/null 2>&1 && echo "> read a file"
echo x > {outside} && echo "> wrote a file"
(exec 3<>/dev/tcp/127.0.0.1/{tcp}) 2>/dev/null && echo "> reached TCP"
(echo x > /dev/udp/127.0.0.1/{udp}) 2>/dev/null
kill -0 {this} 2>/dev/null && echo "> may signal"
echo x > own && echo "> wrote in its directory"
ls /proc/{this}/fd >/dev/null 2>&1 && echo "> looked into a process"
exit 0"#,
        open = open.display(),
        outside = dir.path().join("written").display(),
        tcp = tcp.local_addr().unwrap().port(),
        udp = udp.local_addr().unwrap().port(),
        this = std::process::id(),
    );
    let answer = asked(dir.path(), &text, 20).unwrap();
    let said = lines(&answer);
    assert_eq!(answer.reached, without_name_spaces());
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1], "wrote in its directory");
    let id: u32 = said[0].strip_prefix("this word ").unwrap().parse().unwrap();
    assert!(if is_root() { id > 1_879_048_192 } else { id != 0 }, "{id}");
    assert!(!dir.path().join("written").exists());
    assert!(!is_root() || udp.recv(&mut [0; 8]).is_err(), "a datagram came through");
}

#[test]
fn nothing_of_it_goes_on_after_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"setsid setsid sleep 300 & sleep 0.2; echo "> $(grep ^NSpid /proc/$!/status || true)"; echo > done"#;
    let answer = asked(dir.path(), text, 20).unwrap();
    if !is_root() {
        return assert_eq!(answer.reached, without_name_spaces());
    }
    let sleepers = || {
        let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok());
        all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .filter(|line| line.starts_with(b"sleep\x00300\x00"))
            .filter(|line| line.len() == 10)
            .count()
    };
    // Other suites may have such a process for a moment; this one's would stay.
    crate::wait_until("the process that left its session ends", || sleepers() == 0);
}

#[test]
fn its_time_and_its_memory_end() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let error = asked(dir.path(), "trap '' TERM; sleep 300; sleep 300", 1).unwrap_err();
    assert!(matches!(error, Unanswered::TooLong(_)), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let error = asked(
        dir.path(),
        "head -c 6000000000 /dev/zero | tail -c 5000000000 >/dev/null; exit ${PIPESTATUS[1]}",
        20,
    );
    assert!(matches!(error, Err(Unanswered::Failed { .. })), "{error:?}");
    let error = asked(dir.path(), "head -c 60000000 /dev/zero > file", 20);
    assert!(matches!(error, Err(Unanswered::Failed { .. })), "{error:?}");
}

#[test]
fn what_cannot_be_started_says_the_kernels_reason() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "");
    let ask = |program: &Path| {
        let question = Question {
            program: program.to_owned(),
            args: vec![],
            env: BTreeMap::new(),
            limit: Duration::from_secs(5),
        };
        ask(&confining(), &question).unwrap_err()
    };
    for (content, code) in [("#!/nowhere/sh\n", 2), ("\x7fELF for another machine", 8)] {
        std::fs::write(&program, content).unwrap();
        let error = ask(&program);
        let Unanswered::NotStarted { source } = &error else { panic!("{error:?}") };
        assert_eq!(source.raw_os_error(), Some(code), "{error}");
    }
    let error = ask(&dir.path().join("absent"));
    assert!(
        matches!(&error, Unanswered::NotStarted { source } if source.raw_os_error() == Some(2)),
        "{error}"
    );
    let error = asked(dir.path(), "echo why >&2; exit 3", 5).unwrap_err().to_string();
    assert!(error.contains("code 3") && error.ends_with(": why"), "{error}");
}
