//! Ten thousand websockets: none may bring anything down.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::place::{Place, eventually};

/// Opens a websocket of the session through the edge and leaves it open; `None` = it was refused.
async fn open(port: u16, token: &str) -> Option<tokio_tungstenite::WebSocketStream<TcpStream>> {
    let mut request = format!("ws://localhost:{port}/api/v4/websocket").into_client_request().ok()?;
    // Without a session the server would close it after five seconds.
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().ok()?);
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    client_async(request, stream).await.ok().map(|(socket, _)| socket)
}

#[test]
fn ten_thousand_websockets_are_served_or_refused_and_the_server_stays_well() {
    const SOCKETS: usize = 10_000;
    let place = Place::new();
    place.up(&[]).expect(0);
    let port = place.port;
    let before = place.status();
    // Each takes a descriptor of this process as well.
    let limit = host::limits::raise_open_files().expect("a limit").soft.unwrap_or(u64::MAX);
    let wanted = SOCKETS.min(usize::try_from(limit).unwrap_or(SOCKETS).saturating_sub(500));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (served, refused) = runtime.block_on(async {
        let token = place.token().await;
        let attempts = futures_util::stream::iter(0..wanted).map(|_| async {
            tokio::time::timeout(Duration::from_secs(30), open(port, &token)).await.ok().flatten()
        });
        let sockets: Vec<_> = attempts.buffer_unordered(64).collect().await;
        let served = sockets.iter().filter(|socket| socket.is_some()).count();
        // Still open here: what is asked now is asked under the load.
        let alive = tokio::task::spawn_blocking({
            let root = place.root.clone();
            move || {
                std::process::Command::new(crate::place::MAINSTAY)
                    .args(["status", "--json"])
                    .env("MAINSTAY_DIR", root)
                    .output()
            }
        });
        let alive = alive.await.expect("a task").expect("status");
        assert!(alive.status.success());
        (served, wanted - served)
    });
    // The agent has this process's limit, and takes two descriptors for each.
    let possible = wanted.min(edge::connections_within(limit));
    assert!(served >= possible * 9 / 10, "served {served} of {possible} possible, refused {refused}");
    let after = place.status();
    assert_eq!(after["agent"]["agent_pid"], before["agent"]["agent_pid"]);
    assert_eq!(after["agent"]["server"]["pid"], before["agent"]["server"]["pid"]);
    place.run(&["verify"]).expect(0);
}

#[test]
fn anonymous_requests_do_not_push_an_error_out_of_the_log() {
    const REQUESTS: usize = 48_000;
    let place = Place::new();
    place.up(&[]).expect(0);
    let url = place.url();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let error = serde_json::json!({"level": "error", "message": "the line to keep"});
        let sent = client.post(format!("{url}/api/v4/logs")).json(&error).send().await.expect("an answer");
        assert_eq!(sent.status(), 200);
        let refused = futures_util::stream::iter(0..REQUESTS).map(|_| {
            let request = client.get(format!("{url}/api/v4/users/me"));
            async move { request.send().await.is_ok_and(|answer| answer.status() == 401) }
        });
        let refused =
            refused.buffer_unordered(32).filter(|refused| std::future::ready(*refused)).count().await;
        assert_eq!(refused, REQUESTS);
    });
    let log = || place.run(&["logs"]).expect(0).stdout;
    eventually("what was left out is counted", || {
        log().contains("more lines like this left out: INFO a request was refused")
    });
    let log = log();
    assert!(log.contains("the line to keep"), "{log}");
    assert!(log.matches("/api/v4/users/me").count() <= 25, "{log}");
}
