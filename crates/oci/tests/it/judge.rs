//! Runs other people's tools. If one is missing, the test fails and says how to install it.
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Installs the tools of these tests on Debian.
const INSTALL: &str = "apt-get install -y --no-install-recommends \
                       skopeo umoci docker-registry docker.io iptables iproute2 util-linux";

/// Runs a program to its end and returns its stdout. Any failure fails the test.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    match attempt(program, args) {
        Ok(printed) => printed,
        Err(said) => panic!("{program} {}: {said}", args.join(" ")),
    }
}

/// Runs a program to its end and returns its stdout, or its stderr as `Err` if it fails.
pub(crate) fn attempt(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}; {}", missing()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub(crate) fn missing() -> String {
    format!("install the tools that these tests need: {INSTALL}")
}

pub(crate) fn skopeo(args: &[&str]) -> String {
    run("skopeo", &[&["--insecure-policy"], args].concat())
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// `oci:DIR:TAG`, the form that the tools take.
pub(crate) fn oci(dir: &Path) -> String {
    format!("oci:{}:11.7.0", dir.display())
}
