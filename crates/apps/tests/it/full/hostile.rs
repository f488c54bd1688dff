//! Whatever a function does, its call ends with a reason, and the next call works.

use std::time::{Duration, Instant};

use super::stage::{Fn, HOSTILE, Stage};

const MAIN: Fn<'static> = ("/", "main", "app.handler", "python3.12", &[("app.py", HOSTILE)]);

/// Calls what fails, and then what works; the reason.
async fn survives(stage: &Stage, path: &str, body: &str) -> String {
    let why = stage.failure(path, body).await;
    assert_eq!(stage.call("/ping", "{}").await["text"], "PONG", "after {path}: {why}");
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none() {
    let stage = Stage::new(&[MAIN]);
    let encoded = stage.call("/base64", "{}").await;
    assert_eq!(encoded["type"], "ok");
    let teapot = stage.runtime.call("/status", r#"{"status":418}"#).await.unwrap();
    assert_eq!((teapot.status, teapot.body.as_slice()), (418, b"no such thing".as_slice()));
    let why = survives(&stage, "/error", "{}").await;
    assert_eq!(why, "main: the function failed: KeyError: 'acting_user'");
    let why = survives(&stage, "/text", "{}").await;
    assert!(why.contains("statusCode"), "{why}");
    let wrong = stage.call("/wrong-id", "{}").await;
    assert_eq!(wrong["status"], 400, "{wrong}");
    assert!(wrong["said"].as_str().unwrap().contains("InvalidRequestID"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_7_mb_and_of_2_gb_are_cut_off() {
    let stage = Stage::new(&[MAIN]);
    let why = survives(&stage, "/large", "{}").await;
    assert_eq!(why, "main: the function's answer is larger than 6 MiB, AWS's limit");
    let began = Instant::now();
    let why = survives(&stage, "/endless", "{}").await;
    assert_eq!(why, "main: the function's answer is larger than 6 MiB, AWS's limit");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_never_answers_is_ended_with_all_that_it_started() {
    let stage = Stage::with(&[MAIN], |settings| settings.limit = Duration::from_secs(2));
    let pid = stage.call("/ping", "{}").await["pid"].as_u64().unwrap();
    let why = survives(&stage, "/fork", "{}").await;
    assert_eq!(why, "main: the function did not answer within 2 s, and its process was ended");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let mark = format!("MAINSTAY_GUEST={}-", std::process::id());
    let dir = stage.runtime.settings().dir.root().display().to_string();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let of = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let (line, environment) = (of("cmdline"), of("environ"));
        let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(
            !(line.starts_with(b"/bin/sleep") && has(&environment, &mark) && has(&environment, &dir)),
            "{} is left",
            process.path().display()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_prints_without_end_fills_no_disk() {
    let stage = Stage::with(&[MAIN], |settings| settings.limit = Duration::from_secs(2));
    let why = survives(&stage, "/print", "{}").await;
    assert!(why.contains("did not answer within 2 s"), "{why}");
    let size = std::fs::metadata(stage.runtime.settings().dir.log("main")).unwrap().len();
    assert!((1 << 20..3 << 20).contains(&size), "{size} bytes");
    assert!(stage.log().iter().any(|entry| entry.text.contains("more lines were not kept")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_ends_or_takes_too_much_memory_is_replaced() {
    let stage = Stage::new(&[MAIN]);
    let why = survives(&stage, "/crash", "{}").await;
    assert_eq!(why, "main: the function's process ended with code 7, without an answer");
    let why = survives(&stage, "/memory", "{}").await;
    assert!(why.contains("more than its 256 MiB, and were ended"), "{why}");
    // A process that ends between two calls is not given the second.
    let pid = stage.call("/ping", "{}").await["pid"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.call("/ping", "{}").await["calls"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_for_a_function_with_all_that_it_starts() {
    let stage = Stage::with(&[MAIN], |settings| settings.limit = Duration::from_secs(30));
    let who = stage.call("/who", r#"{"read":[]}"#).await;
    assert_eq!(who["path"], "/usr/local/bin:/usr/bin:/bin:/opt/bin", "not that of whoever runs it");
    let began = Instant::now();
    let why = survives(&stage, "/family", "{}").await;
    assert!(why.contains("more than its 256 MiB, and were ended"), "{why}");
    let why = survives(&stage, "/files", "{}").await;
    assert!(why.contains("files in TMPDIR take ") && why.contains("more than its 512 MiB"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let free = std::fs::read_dir(stage.runtime.settings().dir.root().join("run/work")).unwrap().count();
    assert_eq!(free, 1, "the files went with their process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_process_has_mapped_and_no_directory_shows_counts() {
    let stage = Stage::with(&[MAIN], |settings| settings.limit = Duration::from_secs(30));
    let began = Instant::now();
    let why = survives(&stage, "/memfd", "{}").await;
    assert!(why.contains("of memory, more than its 256 MiB, and were ended"), "{why}");
    let why = survives(&stage, "/deleted", "{}").await;
    assert!(why.contains("deleted and open, more than its 512 MiB"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_between_calls_too() {
    let stage = Stage::new(&[MAIN]);
    for what in ["memory", "family"] {
        let body = format!(r#"{{"what":"{what}"}}"#);
        let pid = stage.call("/later", &body).await["pid"].as_u64().unwrap();
        let began = Instant::now();
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            assert!(began.elapsed() < Duration::from_secs(10), "{what}: it lives");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = stage.log();
        let is_told = |text: &str| {
            text.starts_with("between two calls: ") && text.contains("of memory, more than its 256 MiB")
        };
        let told = log.iter().any(|entry| entry.ours && is_told(&entry.text));
        assert!(told, "{log:#?}");
        assert_eq!(stage.call("/ping", "{}").await["calls"], 1, "another process answers");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_cannot_start_says_why() {
    let python = |path, name, text| (path, name, "app.handler", "python3.12", text);
    let broken: &[(&str, &[u8])] = &[("app.py", b"import nothing_of_this_name\n")];
    let exits: &[(&str, &[u8])] = &[("app.py", b"import os\nos._exit(3)\n")];
    let no_handler: &[(&str, &[u8])] = &[("app.py", b"x = 1\n")];
    let stage = Stage::new(&[
        MAIN,
        python("/import", "import", broken),
        python("/exits", "exits", exits),
        python("/none", "none", no_handler),
        ("/js", "js", "missing.handler", "nodejs22.x", &[("other.js", b"")]),
    ]);
    let why = survives(&stage, "/import", "{}").await;
    assert!(why.contains("cannot start") && why.contains("nothing_of_this_name"), "{why}");
    let why = survives(&stage, "/exits", "{}").await;
    assert_eq!(why, "exits: the function's process ended with code 3, before it asked for its first call");
    let why = survives(&stage, "/none", "{}").await;
    assert!(why.contains("handler"), "{why}");
    let why = survives(&stage, "/js", "{}").await;
    assert!(why.contains("no module for the handler missing.handler"), "{why}");
}
