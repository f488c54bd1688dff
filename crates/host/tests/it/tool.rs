//! Tools that are run to their end.
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host::User;
use host::tool::{End, NO_LIMIT, Output, Tool, ToolError};

use crate::{is_root, lives, pid_in, wait_until};

const SOON: Duration = Duration::from_secs(20);

fn shell<'a>(script: &str) -> Tool<'a> {
    Tool::new("/bin/sh", SOON).args(["-c", script])
}

fn fails(tool: Tool<'_>) -> ToolError {
    tool.run_blocking().expect_err("it fails")
}

#[test]
fn both_output_streams_come_back() {
    let output = shell("echo one; echo two >&2").run_blocking().unwrap();
    assert_eq!(output, Output { stdout: "one\n".into(), stderr: "two\n".into(), discarded: 0 });
}

#[test]
fn an_error_names_the_program_its_end_and_its_last_words() {
    let error = fails(shell("echo working; echo 'no space left' >&2; exit 3"));
    assert_eq!(error.to_string(), "`/bin/sh` ended with code 3: no space left");
    assert_eq!(error.output.text(), "working\nno space left");
    let error = fails(shell("kill -TERM $$"));
    assert_eq!(error.to_string(), "`/bin/sh` was ended by signal 15");
    let error = fails(Tool::new("/nowhere/tool", SOON));
    assert_eq!(error.to_string(), "`/nowhere/tool` cannot be started: it or its loader does not exist");
    let error = fails(shell("true").cwd("/nowhere"));
    assert!(error.to_string().contains("working directory /nowhere does not exist"), "{error}");
}

#[test]
fn a_tool_that_takes_too_long_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let script = "sleep 600 & echo $! > child; echo waiting; wait";
    let error = fails(Tool::new("/bin/sh", Duration::from_millis(300)).args(["-c", script]).cwd(dir.path()));
    assert!(matches!(error.end, End::TooLong(_)), "{error}");
    assert!(error.to_string().contains("did not end within"), "{error}");
    assert_eq!(error.last_line(), Some("waiting"));
    assert!(began.elapsed() < Duration::from_secs(10));
    let child = pid_in(&dir.path().join("child"));
    wait_until("the child is killed", || !lives(child));
}

#[test]
fn a_child_that_is_left_behind_neither_delays_the_end_nor_survives_it() {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = shell("sleep 600 & echo $! > child; echo done").cwd(dir.path()).run_blocking().unwrap();
    assert_eq!(output.stdout, "done\n");
    assert!(began.elapsed() < Duration::from_secs(10));
    let child = pid_in(&dir.path().join("child"));
    wait_until("the child is killed", || !lives(child));
}

#[test]
fn only_the_end_of_much_output_is_kept() {
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; head -c 3000000 /dev/zero >&2";
    let output = shell(script).keep(1000).run_blocking().unwrap();
    assert!(
        output.stdout.len() <= 1000 && output.stdout.ends_with("line 19999\n"),
        "{}",
        output.stdout.len()
    );
    assert!(output.stdout.starts_with("line "), "{}", output.stdout);
    assert_eq!(output.stderr.len(), 1000);
    assert!(output.discarded > 3_000_000);
}

#[test]
fn lines_come_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let mut seen = Vec::new();
    let script = "echo first; until [ -e go ]; do sleep 0.01; done; echo second >&2; printf third";
    shell(script)
        .cwd(dir.path())
        .on_line(|line| {
            // Without this line the script would wait until it is killed.
            if line == "first" {
                std::fs::write(&go, "").unwrap();
            }
            seen.push(line.to_owned());
        })
        .run_blocking()
        .unwrap();
    seen[1..].sort();
    assert_eq!(seen, ["first", "second", "third"]);
}

#[test]
fn a_secret_is_in_the_environment_and_in_no_argument_or_message() {
    let seen = Mutex::new(Vec::new());
    let script = "tr '\\0' ' ' < /proc/$$/cmdline; echo; echo \"login with $WORD\"; exit 1";
    let tool = shell(script)
        .secret("WORD", "hunter2".to_owned().into())
        .on_line(|line| seen.lock().unwrap().push(line.to_owned()));
    assert!(!format!("{tool:?}").contains("hunter2"));
    let error = fails(tool);
    assert_eq!(error.last_line(), Some("login with ***"));
    assert_eq!(seen.lock().unwrap().last().map(String::as_str), Some("login with ***"));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_secret_on_standard_input_is_read() {
    let output = shell("read -r word; echo \"${#word}\"").input("hunter2\n".to_owned().into()).run_blocking();
    assert_eq!(output.unwrap().stdout, "7\n");
}

#[test]
fn input_is_fed_while_it_is_read_and_a_tool_may_stop_reading() {
    let much = vec![b'x'; 1_000_000];
    let output = shell("wc -c").feed(|stdin| stdin.write_all(&much)).run_blocking().unwrap();
    assert_eq!(output.stdout.trim(), "1000000");
    let error = fails(shell("echo enough >&2; exit 4").feed(|stdin| stdin.write_all(&much)));
    assert_eq!(error.to_string(), "`/bin/sh` ended with code 4: enough");
    // Another process holds the pipe open and never reads.
    let began = Instant::now();
    shell("setsid sleep 5 <&0 >/dev/null 2>&1 & exit 0")
        .feed(|stdin| stdin.write_all(&much))
        .run_blocking()
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(4));
    let error = fails(shell("cat > /dev/null").feed(|_| Err(std::io::Error::other("no archive"))));
    assert!(error.to_string().contains("did not get all of its input: no archive"), "{error}");
}

#[test]
fn the_environment_is_its_own() {
    let output = Tool::new("/usr/bin/env", SOON).env("GIVEN", "yes").run_blocking().unwrap();
    let names: Vec<&str> = output.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.contains(&"GIVEN"), "{names:?}");
    assert!(names.iter().all(|name| ["GIVEN", "PATH", "LANG", "TZ"].contains(name)), "{names:?}");
    let inherited = Tool::new("/usr/bin/env", SOON).inherit_environment().run_blocking().unwrap();
    assert!(inherited.stdout.lines().any(|line| line.starts_with("CARGO")), "cargo sets some for its tests");
}

#[test]
fn another_user_has_no_group_but_its_own() {
    let nobody = User { name: "nobody".into(), uid: 65_534, gid: 65_533, home: "/".into() };
    let tool = shell("id -u; id -G").cwd("/").user(Some(nobody));
    if is_root() {
        assert_eq!(tool.run_blocking().unwrap().stdout, "65534\n65533\n");
    } else {
        let error = fails(tool);
        assert!(error.to_string().contains("only root"), "{error}");
    }
}

#[tokio::test]
async fn dropping_the_future_kills_the_tool_and_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let script = "echo $$ > leader; sleep 600 & echo $! > child; wait";
    let running = tokio::spawn(Tool::new("/bin/sh", NO_LIMIT).args(["-c", script]).cwd(dir.path()).run());
    let path = dir.path().to_owned();
    let (leader, child) =
        tokio::task::spawn_blocking(move || (pid_in(&path.join("leader")), pid_in(&path.join("child"))))
            .await
            .unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    tokio::task::spawn_blocking(move || {
        wait_until("leader and child are killed", || !lives(leader) && !lives(child));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_asynchronous_face_gives_the_same_output_and_lines() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = seen.clone();
    let tool = shell("echo one; echo two").on_line(move |line| lines.lock().unwrap().push(line.to_owned()));
    assert_eq!(tool.run().await.unwrap().stdout, "one\ntwo\n");
    assert_eq!(*seen.lock().unwrap(), ["one", "two"]);
    let error = shell("exit 2").run().await.unwrap_err();
    assert!(matches!(error.end, End::Failed(host::Exit::Code(2))), "{error}");
}
