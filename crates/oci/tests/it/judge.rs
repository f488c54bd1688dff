//! Running other people's tools; where one is missing, the test says how to get it.
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What brings the tools of these tests to Debian.
const INSTALL: &str = "apt-get install -y --no-install-recommends \
                       skopeo umoci docker-registry docker.io iptables iproute2 util-linux";

/// Runs a program to its end; returns what it printed. Anything but success fails the test.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    match attempt(program, args) {
        Ok(printed) => printed,
        Err(said) => panic!("{program} {}: {said}", args.join(" ")),
    }
}

/// Runs a program to its end; `Err` is what it complained of.
pub(crate) fn attempt(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; {}", missing()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub(crate) fn missing() -> String {
    format!("install what these tests need: {INSTALL}")
}

pub(crate) fn skopeo(args: &[&str]) -> String {
    run("skopeo", &[&["--insecure-policy"], args].concat())
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// `oci:DIR:TAG`, as the tools want it.
pub(crate) fn oci(dir: &Path) -> String {
    format!("oci:{}:11.7.0", dir.display())
}
