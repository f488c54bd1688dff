//! A registry of container images.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Debian's docker-registry on loopback. It ends when this is dropped.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Registry {
    /// Starts a registry that stores its images in `dir`. `auth` is the section of that name in its configuration, or empty.
    pub fn start(dir: &Path, auth: &str) -> Self {
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
            .unwrap_or_else(|e| panic!("docker-registry (Debian package of this name): {e}"));
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
        // Goes on reading, or the pipe would fill up and block it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
