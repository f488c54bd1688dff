//! Programs that nobody vouches for: `--plan` runs none, and the others run them confined.

use std::path::Path;

use crate::place::Place;

/// A release whose server is this script.
fn tarball(path: &Path, server: &str) {
    let mut tarball = tar::Builder::new(std::fs::File::create(path).expect("a file"));
    let mut add = |name: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_entry_type(if name.ends_with('/') {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        tarball.append_data(&mut header, format!("mattermost/{name}"), content).expect("written");
    };
    for name in ["client/", "fonts/", "i18n/", "templates/"] {
        add(name, 0o755, b"");
    }
    add("bin/mattermost", 0o755, server.as_bytes());
    add("config/config.json", 0o644, b"{}");
    tarball.finish().expect("finished");
}

#[test]
fn a_plan_takes_the_release_from_the_files_name_and_runs_nothing() {
    let (place, dir) = (Place::new(), tempfile::tempdir().expect("a directory"));
    // What it says when it runs differs from what its file is called.
    let server = "#!/bin/sh\necho 'Version: 9.9.9'; echo 'Build Enterprise Ready: false'\n";
    let [named, renamed] =
        ["mattermost-team-9.11.3-linux-amd64.tar.gz", "renamed.tgz"].map(|name| dir.path().join(name));
    tarball(&named, server);
    tarball(&renamed, server);
    let plan = |file: &Path, more: &[&str]| {
        let listen = format!("127.0.0.1:{}", place.port);
        let args = ["up", "--plan", "--listen", &listen, "--release", file.to_str().expect("text")];
        place.run(&[&args, more].concat())
    };
    let shown = plan(&named, &["--json"]);
    let said = format!("{}{}", shown.stdout, shown.stderr);
    assert!(said.contains("9.11.3-team") && !said.contains("9.9.9"), "{said}");

    let refused = plan(&renamed, &[]).expect(2);
    assert!(refused.stderr.contains("does not say which release it holds"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--edition` and `--version`"), "{}", refused.stderr);
    let shown = plan(&renamed, &["--edition", "team", "--version", "9.11.3"]);
    let said = format!("{}{}", shown.stdout, shown.stderr);
    assert!(said.contains("9.11.3-team") && !said.contains("9.9.9"), "{said}");
    assert!(!place.root.exists());
}

#[test]
fn without_a_plan_the_server_is_asked_and_reaches_nothing() {
    let (place, dir) = (Place::new(), tempfile::tempdir().expect("a directory"));
    let file = dir.path().join("mattermost-team-9.11.3-linux-amd64.tar.gz");
    let target = dir.path().join("written");
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("a mode");
    let server = format!(
        "#!/bin/sh\necho x > {} && exit 3\necho \"$(grep -c : /proc/net/dev) network, $(id -u) was asked\" >&2; exit 1\n",
        target.display()
    );
    tarball(&file, &server);
    let args = ["--release", file.to_str().expect("text")];
    let failed = place.up(&args).expect(4);
    assert!(!target.exists());
    let asked = failed.stderr.split(" was asked").next().and_then(|text| text.rsplit(' ').next());
    let id: u32 = asked.and_then(|id| id.parse().ok()).expect(&failed.stderr);
    assert_ne!(id, 0, "{}", failed.stderr);
    assert!(failed.stderr.contains("1 network, "), "{}", failed.stderr);
    assert!(!place.root.exists());
}
