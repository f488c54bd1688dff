//! Real registries, and scripted ones for what a real one does only on bad days.
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use axum::Router;
use reqwest::Client;

use crate::judge::missing;

/// A client, with the process's crypto provider in place.
pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap());
    Client::builder().build().unwrap()
}

/// Debian's docker-registry on loopback, ended with the test.
pub(crate) struct RealRegistry {
    child: Child,
    /// `127.0.0.1:port`
    pub(crate) address: String,
}

impl RealRegistry {
    /// `auth` is the configuration's section of that name, if any.
    pub(crate) fn start(dir: &Path, auth: &str) -> Self {
        let storage = dir.join("registry");
        fs::create_dir(&storage).unwrap();
        let config = dir.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n{auth}",
            storage.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("docker-registry: {e}; {}", missing()));
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "docker-registry ended: {said}");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ' ', '\n', ',']).next().unwrap().to_owned();
            }
            said.push_str(&line);
        };
        // What it goes on to say must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves `app` on loopback until the test's runtime ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
