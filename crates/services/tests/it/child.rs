//! Programs that a test starts and kills at its end.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A program that prints its port on the first line, and then a line for each event.
pub(crate) struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}; {MISSING}"));
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, said, port: 0 };
        server.port = server.line().parse().unwrap_or_else(|_| panic!("{command:?} took no port; {MISSING}"));
        server
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const MISSING: &str = "run `cargo xtask test` once, which installs what the tests need";

/// Where `cargo xtask test` installs the programs of other languages: beside the profile's directory.
pub(crate) fn clients() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let clients = own.ancestors().nth(3).unwrap().join("clients");
    assert!(clients.is_dir(), "{} is missing: {MISSING}", clients.display());
    clients
}

/// A program in another language, in this directory.
pub(crate) fn script(name: &str) -> String {
    format!("{}/tests/it/{name}", env!("CARGO_MANIFEST_DIR"))
}
