//! Ports that are free, taken, or not ours.
use std::net::TcpListener;

use host::{Listen, PortError, port};

use crate::is_root;

fn listen(text: &str) -> Listen {
    text.parse().unwrap()
}

#[test]
fn a_taken_port_names_its_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    for text in [format!("127.0.0.1:{port}"), format!(":{port}"), format!("0.0.0.0:{port}")] {
        let error = port::check(listen(&text)).unwrap_err();
        let PortError::Taken { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.process.as_ref().map(|(pid, _)| *pid), Some(std::process::id()));
        assert!(error.to_string().contains(&format!("port {port} on ")), "{error}");
        assert!(error.to_string().contains("--listen"), "{error}");
    }
    drop(holder);
    port::check(listen(&format!("127.0.0.1:{port}"))).unwrap();
}

#[test]
fn every_address_is_bound_and_reachable() {
    let any = listen(":0");
    let socket = port::bind(any).unwrap();
    let bound = Listen { port: socket.local_addr().unwrap().port(), ..any };
    std::net::TcpStream::connect(bound.reachable()).unwrap();
    assert!(matches!(port::check(bound), Err(PortError::Taken { .. })));
}

#[test]
fn a_foreign_address_lists_ours() {
    let error = port::check(listen("192.0.2.1:0")).unwrap_err();
    assert!(matches!(error, PortError::NotOurs { .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[test]
fn a_low_port_is_explained() {
    let low = listen("127.0.0.1:1");
    if port::is_privileged(low) && !is_root() {
        let error = port::check(low).unwrap_err();
        assert!(matches!(error, PortError::Privileged { .. }), "{error:?}");
    }
    assert!(!port::is_privileged(listen(":0")));
    assert!(!port::is_privileged(listen(":65535")));
}
