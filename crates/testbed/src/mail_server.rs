//! A mail server on loopback (aiosmtpd) that keeps every mail that it takes, for the test to read.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::PATIENCE;

/// A running mail server. It ends when this is dropped, and with the test executable.
pub struct MailServer {
    child: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
    mails: Receiver<Value>,
}

/// The command that runs it: it prints its port, and then each mail as a line of JSON. `want` is described in `smtp.py`.
pub fn command(want: &Value) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/smtp.py")).arg(want.to_string());
    command
}

/// The Python that `cargo xtask test` installs beside the profile's directory.
fn python() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let python = own.ancestors().nth(3).unwrap().join("clients/python/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run `cargo xtask test` once, which installs it",
        python.display()
    );
    python
}

impl MailServer {
    /// Starts one. `want` is described in `smtp.py`.
    pub fn start(want: &Value) -> Self {
        let mut child = command(want)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv (package util-linux) runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("it prints its port").unwrap().parse().unwrap();
        let (sender, mails) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, port, mails }
    }

    /// The next mail.
    ///
    /// # Panics
    /// None comes.
    pub fn mail(&self) -> Value {
        self.mails.recv_timeout(PATIENCE).expect("a mail comes")
    }

    /// The next mail, if one comes within that time.
    pub fn mail_within(&self, time: Duration) -> Option<Value> {
        self.mails.recv_timeout(time).ok()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a header of a mail, if it has one.
pub fn header<'a>(mail: &'a Value, name: &str) -> Option<&'a str> {
    let headers = mail["headers"].as_array()?;
    headers.iter().find(|header| header[0].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)))?[1]
        .as_str()
}
