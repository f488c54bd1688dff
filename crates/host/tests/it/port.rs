//! Ports that are free, taken, or not ours.
use std::net::TcpListener;

use host::{Listen, PortError};

use crate::is_root;

fn listen(text: &str) -> Listen {
    text.parse().unwrap()
}

#[test]
fn a_taken_port_names_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    for text in [format!("127.0.0.1:{port}"), format!(":{port}"), format!("0.0.0.0:{port}")] {
        let error = listen(&text).check().unwrap_err();
        let PortError::Taken { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.process.as_ref().map(|(pid, _)| *pid), Some(std::process::id()));
        assert!(error.to_string().contains(&format!("port {port} on ")), "{error}");
        assert!(error.to_string().contains("--listen"), "{error}");
    }
    drop(holder);
    listen(&format!("127.0.0.1:{port}")).check().unwrap();
}

#[test]
fn every_address_is_bound_and_reachable() {
    let any = listen(":0");
    let socket = any.bind().unwrap();
    let bound = Listen { port: socket.local_addr().unwrap().port(), ..any };
    std::net::TcpStream::connect(bound.reachable()).unwrap();
    assert!(matches!(bound.check(), Err(PortError::Taken { .. })));
}

#[test]
fn a_foreign_address_lists_ours() {
    let error = listen("192.0.2.1:0").check().unwrap_err();
    assert!(matches!(error, PortError::NotOurs { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn a_low_port_is_explained() {
    let low = listen("127.0.0.1:1");
    if low.is_privileged() && !is_root() {
        let error = low.check().unwrap_err();
        assert!(matches!(error, PortError::Privileged { .. }), "{error:?}");
    }
    assert!(!listen(":0").is_privileged());
    assert!(!listen(":65535").is_privileged());
}
