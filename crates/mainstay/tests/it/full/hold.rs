//! Nobody waits for ever: an operation that is killed while people wait at the edge, an agent that is killed, a limit that is short; and what
//! people see of every command that replaces the server or the agent.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::builds::{self, other_build};
use super::upgrade::{Next, asks_all_the_time, deployment, is_old, to, upgrade};
use crate::place::Place;

/// How long the agent may take to see that an operation was killed, and to take it back.
const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until it holds.
fn within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "it is not so within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether people wait at the edge.
fn holds(place: &Place) -> bool {
    place.status()["agent"]["holds"] == true
}

/// Whether it is up, verified, and not being changed.
fn is_well(place: &Place) -> bool {
    place.run(&["status", "--check"]).code == 0
}

fn kill(signal: &str, pid: u64) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

/// Begins an upgrade, and returns when people wait.
fn begun(place: &Place) -> Child {
    let mut command = place.command(&to(Next::Good, &[]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    within(PATIENCE, "people wait", || place.root.join("run/pass").exists());
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn people_wait_for_no_operation_that_was_killed() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let before = deployment(&place).await;
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(asks_all_the_time(place.url(), Arc::clone(&stop)));

    // Nobody types a command.
    for fault in ["hold:after", "migration:after", "acceptance:after"] {
        assert_eq!(upgrade(&place, Next::Good, &["--inject-kill", fault]).code, -9, "{fault}");
        within(PATIENCE, fault, || !holds(&place) && is_well(&place));
        assert!(!place.root.join("run/before").exists(), "{fault}");
        assert!(is_old(&place, &before).await, "{fault}");
    }
    // What is not taken back is finished.
    assert_eq!(place.run(&["restart", "server", "--inject-kill", "stop-server:after"]).code, -9);
    within(PATIENCE, "the restart is finished", || !holds(&place) && is_well(&place));
    let newest = place.run(&["history", "--json"]).expect(0).json();
    assert!(newest.to_string().contains("restart"), "{newest}");

    // A command that is typed meanwhile waits for the recovery, and does what it was asked to do.
    assert_eq!(upgrade(&place, Next::Good, &["--inject-kill", "server:after"]).code, -9);
    let lock = place.root.join("run/operation.lock");
    let recovers = || std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("\"recover\""));
    within(PATIENCE, "the recovery runs", recovers);
    place.run(&["restart"]).expect(0);
    assert!(is_old(&place, &before).await);

    stop.store(true, Ordering::Relaxed);
    let (asked, failed, longest) = asking.await.expect("answers");
    assert!(asked > 50 && failed.is_empty(), "{} of {asked} failed: {failed:?}", failed.len());
    println!("{asked} requests, the longest waited {} ms", longest.as_millis());

    // The agent alone is killed while people wait: the upgrade is taken back, and the edge is open again.
    let child = begun(&place);
    kill("-9", place.status()["agent"]["agent_pid"].as_u64().expect("an agent"));
    let ran: crate::place::Ran = child.wait_with_output().expect("it ends").into();
    assert!([5, 6].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    assert!(ran.stderr.contains("it is verified"), "{}", ran.stderr);
    place.run(&["status", "--check"]).expect(0);
    assert!(is_old(&place, &before).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_long_enough_is_told_to_come_again() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let wanted = place.root.join("mainstay.toml");
    let text = std::fs::read_to_string(&wanted).expect("a file");
    for (wrong, says) in [("0", "from 1 to 600"), ("\"soon\"", "hold"), ("601", "from 1 to 600")] {
        std::fs::write(&wanted, format!("{text}\n[edge]\nhold = {wrong}\n")).expect("written");
        let refused = place.up(&[]).expect(3);
        assert!(refused.stderr.contains(says), "{wrong}: {}", refused.stderr);
    }
    // The edge takes the new limit, and nobody is turned away meanwhile.
    std::fs::write(&wanted, format!("{text}\n[edge]\nhold = 1\n")).expect("written");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(asks_all_the_time(place.url(), Arc::clone(&stop)));
    place.up(&[]).expect(0);
    stop.store(true, Ordering::Relaxed);
    let (asked, failed, _) = asking.await.expect("answers");
    assert!(asked > 5 && failed.is_empty(), "{} of {asked} failed: {failed:?}", failed.len());
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);

    let child = begun(&place);
    kill("-STOP", child.id().into());
    let client = reqwest::Client::new();
    for (path, kind) in
        [("/api/v4/users/me", "application/json"), ("/team/channels/town-square", "text/html")]
    {
        let began = Instant::now();
        let answer = client.get(format!("{}{path}", place.url())).send().await.expect("an answer");
        let waited = began.elapsed();
        assert_eq!(answer.status(), 503, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
        assert!(
            answer.headers()["content-type"].to_str().is_ok_and(|found| found.starts_with(kind)),
            "{path}"
        );
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(10)).contains(&waited),
            "{path}: {waited:?}"
        );
    }
    kill("-CONT", child.id().into());
    let ran: crate::place::Ran = child.wait_with_output().expect("it ends").into();
    ran.expect(0);
}

/// Holds a websocket, and comes again when it is told to, as Mattermost's own clients do. Says how often it came, and what went wrong.
async fn holds_a_websocket(port: u16, token: String, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut came, mut wrong) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let mut request =
            format!("ws://localhost:{port}/api/v4/websocket").into_client_request().expect("an address");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let mut socket = match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => socket,
            Err(error) => {
                wrong.push(error.to_string());
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        came += 1;
        let mut told = None;
        while !stop.load(Ordering::Relaxed) {
            match tokio::time::timeout(Duration::from_millis(100), socket.next()).await {
                Err(_) | Ok(Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(Message::Close(frame)))) => told = frame.map(|frame| u16::from(frame.code)),
                Ok(None) => break,
                Ok(Some(other)) => {
                    wrong.push(format!("{other:?}"));
                    break;
                }
            }
        }
        if !stop.load(Ordering::Relaxed) && !matches!(told, Some(1001 | 1012)) {
            wrong.push(format!("closed with {told:?}"));
        }
    }
    (came, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_rotations_and_a_hand_over_are_a_pause_and_no_error() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let token = place.token().await;
    let other = other_build(place.root.parent().expect("above"));
    let up = || place.up(&[]);
    let set = |text: &str| {
        let path = place.root.join("mainstay.toml");
        let wanted = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(path, format!("{wanted}\n{text}\n")).expect("written");
    };
    type Act<'a> = Box<dyn Fn() + 'a>;
    let acts: [(&str, Act<'_>); 5] = [
        ("restart server", Box::new(|| drop(place.run(&["restart", "server"]).expect(0)))),
        (
            "rotate",
            Box::new(|| drop(place.run(&["settings", "secrets", "rotate", "--yes", "link_salt"]).expect(0))),
        ),
        (
            "up",
            Box::new(|| {
                set("[mattermost.TeamSettings]\nSiteName = \"Other\"");
                up().expect(0);
            }),
        ),
        ("hand-over", Box::new(|| drop(builds::up(&other, &place, &[]).expect(0)))),
        ("back", Box::new(|| drop(up().expect(0)))),
    ];
    let mut figures = Vec::new();
    for (name, act) in &acts {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(asks_all_the_time(place.url(), Arc::clone(&stop)));
        let holding = tokio::spawn(holds_a_websocket(place.port, token.clone(), Arc::clone(&stop)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(act);
        tokio::time::sleep(Duration::from_millis(300)).await;
        stop.store(true, Ordering::Relaxed);
        let (asked, failed, longest) = asking.await.expect("answers");
        let (came, wrong) = holding.await.expect("a websocket");
        assert!(asked > 5 && failed.is_empty(), "{name}: {} of {asked} failed: {failed:?}", failed.len());
        assert!(came > 1 && wrong.is_empty(), "{name}: it came {came} times: {wrong:?}");
        figures.push(json!({"act": name, "requests": asked, "longest_ms": longest.as_millis() as u64}));
    }
    println!("{}", Value::from(figures));
}
