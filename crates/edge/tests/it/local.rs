//! A load balancer on the edge's own machine, and the other users there.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use edge::{Edge, Limits, LocalProxies, Network};

use crate::parts::{Running, mirror, serve};

/// A user whom nothing trusts.
const STRANGER: u32 = 65_534;

/// Says that it asks for 203.0.113.9.
const CLAIM: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";

async fn edge(local: LocalProxies) -> Running {
    let proxies: [Network; 1] = ["127.0.0.0/8".parse().unwrap()];
    let edge = Edge::bind(([127, 0, 0, 1], 0).into(), mirror().await.0, Limits::default()).unwrap();
    serve(edge.trusting(&proxies).with_local_proxies(local))
}

/// What the server hears of the client's address.
async fn heard(edge: &Running) -> String {
    let reply = edge.ask(CLAIM).await;
    let address = reply.body.lines().find_map(|line| line.strip_prefix("x-real-ip: "));
    address.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_the_users_that_may_be_a_load_balancer_are_believed() {
    assert_eq!(heard(&edge(LocalProxies::Services).await).await, "203.0.113.9", "whoever runs the edge");
    assert_eq!(heard(&edge(LocalProxies::Everybody).await).await, "203.0.113.9");
    let me = rustix::process::geteuid().as_raw();
    let of_others = LocalProxies::Users(vec![me + 1]);
    // Root is believed always: it could change the server itself.
    let expected = if me == 0 { "203.0.113.9" } else { "127.0.0.1" };
    assert_eq!(heard(&edge(of_others).await).await, expected);
    if me == 0 {
        let edge = edge(LocalProxies::Services).await;
        let line =
            format!("exec 3<>/dev/tcp/127.0.0.1/{}; printf '{CLAIM}' >&3; cat <&3", edge.address.port());
        let asked = tokio::task::spawn_blocking(move || {
            Command::new("bash").args(["-c", &line]).current_dir("/").uid(STRANGER).output().unwrap()
        });
        let told = String::from_utf8(asked.await.unwrap().stdout).unwrap();
        assert!(told.contains("x-real-ip: 127.0.0.1"), "{told}");
        assert!(!told.contains("203.0.113.9"), "{told}");
    }
}
