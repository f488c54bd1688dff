//! skopeo and umoci read a layout and its archive.
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use oci::{Layout, MATTERMOST, OciError};

use crate::judge::{json, oci, run, skopeo};
use crate::{NAME, image};

#[test]
fn skopeo_reads_the_layout() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("image");
    let layout = image(scratch.path(), &dir);

    let seen = json(&skopeo(&["inspect", &oci(&dir)]));
    assert_eq!(seen["Digest"], layout.digest().to_string());
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(seen["Created"], "1970-01-01T00:00:00Z");

    let config = json(&skopeo(&["inspect", "--config", &oci(&dir)]));
    assert_eq!(config["architecture"], oci::Architecture::NATIVE.name());
    let run = &config["config"];
    assert_eq!(run["User"], "2000:2000");
    assert_eq!(run["Entrypoint"], serde_json::json!(["mainstay", "entrypoint"]));
    assert_eq!(run["Cmd"], serde_json::json!(["app:start"]));
    assert_eq!(run["Env"], serde_json::json!(["A=b c"]));
    assert_eq!(run["ExposedPorts"], serde_json::json!({"80/tcp": {}, "8443/udp": {}}));
    assert_eq!(run["Volumes"], serde_json::json!({"/opt/mattermost/data": {}}));
    assert_eq!(run["WorkingDir"], "/opt/mattermost");
    assert_eq!(run["StopSignal"], "SIGTERM");
    assert_eq!(run["Labels"]["org.opencontainers.image.version"], "11.7.0");

    // To copy to Docker's format, skopeo recomputes every digest, and the diff ids of all layers.
    let copy = format!("dir:{}", scratch.path().join("copy").display());
    skopeo(&["copy", "--format", "v2s2", &oci(&dir), &copy]);
}

#[test]
fn umoci_unpacks_the_same_files() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("image");
    image(scratch.path(), &dir);
    let bundle = scratch.path().join("bundle");
    let image = format!("{}:11.7.0", dir.display());
    let root = rustix::process::getuid().is_root();
    let mut args = vec!["unpack", "--image", &image, bundle.to_str().unwrap()];
    if !root {
        args.insert(1, "--rootless");
    }
    run("umoci", &args);

    let rootfs = bundle.join("rootfs");
    let found = |path: &str| fs::symlink_metadata(rootfs.join(path)).unwrap();
    let mode = |path: &str| found(path).permissions().mode() & 0o7777;
    assert_eq!(mode("tmp"), 0o1777);
    assert_eq!(mode("root"), 0o700);
    assert_eq!(mode("opt"), 0o755);
    assert_eq!(mode("opt/mattermost/bin/mattermost"), 0o755);
    assert_eq!(mode("opt/mattermost/README"), 0o644);
    assert_eq!(mode("opt/mattermost/data"), 0o750);
    assert_eq!(mode("usr/bin/odd"), 0o4711);
    let owner = |path: &str| (found(path).uid(), found(path).gid());
    if root {
        assert_eq!(owner("opt/mattermost/bin/readme"), (MATTERMOST.uid, MATTERMOST.gid));
        assert_eq!(owner("usr/bin/odd"), (3_000_000_000, 7));
        assert_eq!(owner("usr/bin"), (0, 0));
    }
    for path in ["etc/passwd", "opt", "opt/mattermost/bin/readme", "opt/mattermost/empty"] {
        assert_eq!(found(path).mtime(), 0, "{path}");
    }
    let read = |path: &str| fs::read_to_string(rootfs.join(path)).unwrap();
    assert!(read("etc/passwd").contains("mattermost:x:2000:2000:"));
    assert_eq!(read("opt/mattermost/client/\u{e4}\u{f6} \u{65e5}.txt"), "not ASCII");
    let deep = format!("opt/mattermost/client/plugins/{}/bundle.js", "long-directory-name".repeat(6));
    assert_eq!(read(&deep).len(), 70_000);
    assert_eq!(fs::read_link(rootfs.join("opt/mattermost/bin/readme")).unwrap(), Path::new("../README"));
    let bundle = fs::read(scratch.path().join("bundle.pem")).unwrap();
    assert_eq!(fs::read(rootfs.join("etc/ssl/cert.pem")).unwrap(), bundle);
}

#[test]
fn one_archive_is_both_a_docker_and_an_oci_archive() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = image(scratch.path(), &scratch.path().join("image"));
    let path = scratch.path().join("image.tar");
    layout.write_archive(fs::File::create(&path).unwrap()).unwrap();

    let as_oci = json(&skopeo(&["inspect", &format!("oci-archive:{}", path.display())]));
    assert_eq!(as_oci["Digest"], layout.digest().to_string());
    let as_docker = format!("docker-archive:{}:{NAME}", path.display());
    let config = json(&skopeo(&["inspect", "--config", &as_docker]));
    assert_eq!(config["config"]["User"], "2000:2000");
    skopeo(&["copy", &as_docker, &format!("dir:{}", scratch.path().join("copy").display())]);
}

#[test]
fn a_changed_blob_is_detected() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("image");
    let layout = image(scratch.path(), &dir);
    let blob = |digest: &oci::Digest| dir.join("blobs/sha256").join(digest.hex());
    let layer = blob(&layout.blobs().next().unwrap().digest);

    let mut bytes = fs::read(&layer).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&layer, &bytes).unwrap();
    let archived = layout.write_archive(std::io::sink());
    assert!(matches!(archived, Err(OciError::Damaged { path, .. }) if path == layer));

    fs::write(&layer, &bytes[..last]).unwrap();
    assert!(matches!(Layout::open(&dir), Err(OciError::Damaged { path, .. }) if path == layer));

    let manifest = blob(&layout.digest());
    fs::write(&manifest, "{}").unwrap();
    assert!(matches!(Layout::open(&dir), Err(OciError::Damaged { path, .. }) if path == manifest));
}
