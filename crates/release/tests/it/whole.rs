//! Releases that are as they should be.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use release::{Edition, Origin, Programs, Release, ReleaseError};

use crate::tarball::{Tarball, unpack};
use crate::{builtin_binary, confining, names, write_program};

fn from_file(path: PathBuf, releases: &Path) -> Result<Release, ReleaseError> {
    unpack_from(&Origin::File { path }, Path::new("/no/mainstay"), releases)
}

fn unpack_from(origin: &Origin, mainstay: &Path, releases: &Path) -> Result<Release, ReleaseError> {
    release::unpack(origin, Programs { mainstay, confining: &confining(), told: None }, releases)
}

#[test]
fn a_download_is_not_fetched_yet() {
    let releases = tempfile::tempdir().unwrap();
    let url = "https://releases.mattermost.com/11.7.15/team.tar.gz";
    let origin = Origin::Download {
        release: "11.7.15-team".parse().unwrap(),
        url: url.parse().unwrap(),
        sha256: "0".repeat(64).try_into().unwrap(),
    };
    let error = unpack_from(&origin, Path::new("/no/mainstay"), releases.path()).unwrap_err().to_string();
    assert!(error.contains("11.7.15-team has not been fetched") && error.contains(url), "{error}");
    assert_eq!(names(releases.path()), [""; 0]);
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_official_tarball_becomes_a_read_only_release() {
    let tarball = Tarball::official()
        .file("mattermost/client/root.html", b"<html>")
        .link("mattermost/client/index.html", "root.html")
        .directory("mattermost/logs/");
    let (releases, release) = unpack(&tarball.tar_gz()).unwrap();
    assert_eq!(release.id().to_string(), "11.7.15-team");
    assert_eq!(names(releases.path()), ["11.7.15-team/"]);
    let root = release.root();
    assert_eq!(root, fs::canonicalize(releases.path()).unwrap().join("11.7.15-team"));
    let all = ["bin/", "client/", "config/", "fonts/", "i18n/", "logs/", "release.json", "templates/"];
    assert_eq!(names(root), all);
    assert_eq!(mode(root), 0o555);
    assert_eq!(mode(&release.binary()), 0o555);
    assert_eq!(mode(&root.join("client")), 0o555);
    assert_eq!(mode(&release.shipped_config()), 0o444);
    assert_eq!(fs::read(root.join("client/index.html")).unwrap(), b"<html>");
    assert_eq!(Release::open(root).unwrap(), release);
    assert!(release.capabilities().db_migrate);

    let config = Path::new("/srv/config.json");
    let call = release.server(config);
    assert_eq!((call.program, call.cwd), (release.binary(), root.to_path_buf()));
    assert_eq!(call.args, ["server", "--config", "/srv/config.json"]);
    assert_eq!(release.migrate(config).unwrap().args, ["db", "migrate", "--config", "/srv/config.json"]);
    assert_eq!(release.version().args, ["version"]);
}

#[test]
fn unpacking_again_gives_the_same_release_and_keeps_it() {
    let (releases, release) = unpack(&Tarball::official().tar_gz()).unwrap();
    let path = releases.path().join("again.tar.gz");
    fs::write(&path, Tarball::official().file("mattermost/new", b"x").tar_gz()).unwrap();
    assert_eq!(from_file(path, releases.path()).unwrap(), release);
    assert!(!release.root().join("new").exists());
    assert_eq!(names(releases.path()), ["11.7.15-team/", "again.tar.gz"]);
}

#[test]
fn an_old_server_prints_its_version_without_its_database() {
    let script = "#!/bin/sh\n[ \"$MM_SQLSETTINGS_DRIVERNAME\" = none ] || exit 9\n[ $# = 2 ] || { echo 'unknown driver' >&2; exit 1; }\n[ \"$2\" = --skip-server-start ] || exit 1\nprintf 'Version: 5.37.10\\nBuild Number: 5.37.10\\nBuild Enterprise Ready: true\\n'\n";
    let (_releases, release) = unpack(&Tarball::of(script).tar()).unwrap();
    assert_eq!(release.id().to_string(), "5.37.10-enterprise");
    assert_eq!(release.migrate(Path::new("/c")), None);
    assert_eq!(release.version().args, ["version", "--skip-server-start"]);
}

#[test]
fn a_server_that_cannot_say_its_version_is_what_somebody_says_if_that_can_be() {
    let script = "#!/bin/sh\n# 5.16.0 5.15.0\ncase \"$2\" in\n--skip*) echo \"Error: unknown flag: $2\" >&2 ;;\n*) echo 'panic: none' >&2 ;;\nesac\nexit 2\n";
    let releases = tempfile::tempdir().unwrap();
    let path = releases.path().join("old.tar.gz");
    fs::write(&path, Tarball::of(script).tar_gz()).unwrap();
    let found = |told: Option<&str>| {
        let told = told.map(|told| told.parse().unwrap());
        let found = release::identify(&path, &confining(), told.as_ref());
        found.map(|found| found.release.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(found(Some("5.16.0-team")).unwrap(), "5.16.0-team");
    for (told, why) in [
        (None, "older than 5.28"),
        (Some("5.16.1-team"), "not in it"),
        (Some("5.28.0-team"), "say it themselves"),
    ] {
        let error = found(told).unwrap_err();
        assert!(error.contains(why) && !error.contains("glibc"), "{error}");
    }
    let told = "5.16.0-team".parse().unwrap();
    let programs = Programs { mainstay: Path::new("/none"), confining: &confining(), told: Some(&told) };
    let unpacked = release::unpack(&Origin::File { path }, programs, releases.path()).unwrap();
    assert_eq!(*unpacked.id(), told);
}

#[test]
fn a_release_whose_server_does_not_print_its_version_is_not_kept() {
    for (server, why) in [
        ("#!/bin/sh\necho libc.so.6: version GLIBC_2.34 not found >&2; exit 1\n", "GLIBC_2.34 not found"),
        ("#!/bin/sh\necho hello\n", "no line \"Version"),
        ("#!/nowhere/sh\n", "does not exist"),
        ("\x7fELF for another machine", "another kind of machine"),
    ] {
        let error = unpack(&Tarball::of(server).tar()).map(|_| ()).unwrap_err();
        assert!(matches!(error, ReleaseError::Unidentified { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_tarball_is_identified_without_unpacking_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whatever.tgz");
    let identify = |path: &Path| release::identify(path, &confining(), None);
    fs::write(&path, Tarball::official().tar_gz()).unwrap();
    let identified = identify(&path).unwrap();
    assert_eq!((identified.release.to_string().as_str(), identified.reached.len()), ("11.7.15-team", 0));
    fs::write(&path, Tarball::empty().directory("mattermost/").tar_gz()).unwrap();
    assert!(identify(&path).unwrap_err().to_string().contains("has no bin/mattermost"));
    assert!(matches!(identify(&dir.path().join("absent")), Err(ReleaseError::Disk { .. })));
    assert!(matches!(identify(dir.path()), Err(ReleaseError::Disk { .. })));
}

#[test]
fn what_a_tarball_claims_to_be_is_read_and_nothing_of_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let server = format!("#!/bin/sh\ntouch {}\necho Version: 1.2.3\n", ran.display());
    let bytes = || Tarball::of(&server);
    let claims = |name: &str, bytes: Vec<u8>| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        release::claimed(&path).map(|id| id.map(|id| id.to_string()).unwrap_or_default())
    };
    assert_eq!(
        claims("mattermost-team-11.7.15-linux-amd64.tar.gz", bytes().tar_gz()).unwrap(),
        "11.7.15-team"
    );
    assert_eq!(claims("renamed.tgz", bytes().tar_gz()).unwrap(), "");
    let with_manifest = bytes().file("mattermost/manifest.txt", b"11.6.0+0.9.0-builtin\n0755 12 bin\n");
    assert_eq!(claims("renamed.tgz", with_manifest.tar_gz()).unwrap(), "11.6.0+0.9.0-builtin");
    let of_others = bytes().file("mattermost/manifest.txt", b"mattermost 0123abc\n");
    assert_eq!(claims("renamed.tgz", of_others.tar()).unwrap(), "");
    let error =
        claims("mattermost-11.7.15-linux-amd64.tar.gz", Tarball::empty().directory("mattermost/").tar())
            .unwrap_err();
    assert!(error.to_string().contains("has no bin/mattermost"), "{error}");
    assert!(matches!(claims("cut.tgz", bytes().tar_gz()[..60].to_vec()), Err(ReleaseError::Damaged { .. })));
    assert!(!ran.exists());
}

#[test]
fn a_server_that_is_asked_reaches_no_file_and_its_last_words_are_shown_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    fs::write(&secret, "42").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server =
        format!("#!/bin/sh\ncat {} && exit 0\nprintf '\\033[2Jpwned' >&2; exit 1\n", secret.display());
    let error = unpack(&Tarball::of(&server).tar()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(r"\u{1b}[2Jpwned") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn the_error_of_a_broken_release_names_the_file() {
    let (_releases, release) = unpack(&Tarball::official().tar()).unwrap();
    let root = release.root();
    for (name, problem) in [
        ("release.json", "release.json: "),
        ("templates", "templates: "),
        ("bin/mattermost", "bin/mattermost: "),
    ] {
        let path = root.join(name);
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&path, root.with_extension("aside")).unwrap();
        let error = Release::open(root).unwrap_err();
        assert!(matches!(error, ReleaseError::NotARelease { .. }), "{error:?}");
        assert!(error.to_string().contains(problem), "{error}");
        fs::rename(root.with_extension("aside"), &path).unwrap();
    }
    let text = fs::read_to_string(root.join("release.json")).unwrap();
    fs::write(root.join("release.json"), &text[..text.len() / 2]).unwrap();
    assert!(Release::open(root).unwrap_err().to_string().contains("release.json: "));
    assert!(Release::open(Path::new("/nowhere")).is_err());
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_a_running_one_fills_is_not() {
    let releases = tempfile::tempdir().unwrap();
    let [dead, living] = ["dead", "living"].map(|name| releases.path().join(format!(".unpack-{name}")));
    for dir in [&dead, &living] {
        fs::create_dir_all(dir.join("bin")).unwrap();
        fs::set_permissions(dir.join("bin"), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let lock = fs::File::open(&living).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let path = releases.path().join("t.tar");
    fs::write(&path, Tarball::official().tar()).unwrap();
    from_file(path, releases.path()).unwrap();
    assert_eq!(names(releases.path()), [".unpack-living/", "11.7.15-team/", "t.tar"]);
}

#[test]
fn the_built_in_server_packs_to_the_same_bytes_and_unpacks() {
    let dir = tempfile::tempdir().unwrap();
    let binary = builtin_binary(dir.path());
    let [one, two] = ["one.tar.gz", "two.tar.gz"].map(|name| dir.path().join(name));
    release::pack_builtin_to(&binary, &one).unwrap();
    let moved = dir.path().join("another-name-and-time");
    fs::copy(&binary, &moved).unwrap();
    release::pack_builtin_to(&moved, &two).unwrap();
    assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap());
    assert_eq!(mode(&one), 0o644);

    let [packed, direct] = ["packed", "direct"].map(|name| dir.path().join(name));
    fs::create_dir(&packed).unwrap();
    fs::create_dir(&direct).unwrap();
    let from_tarball = from_file(one, &packed).unwrap();
    let from_binary = unpack_from(&Origin::Builtin, &binary, &direct).unwrap();
    assert_eq!(*from_binary.id(), release::builtin());
    assert_eq!(from_binary.id().edition, Edition::Builtin);
    let said = release::Identity { from_file: true, ..from_binary.identity().clone() };
    assert_eq!(*from_tarball.identity(), said, "only where it came from differs");
    assert_eq!(names(from_tarball.root()), names(from_binary.root()));
    assert_eq!(fs::read(from_binary.binary()).unwrap(), fs::read(&binary).unwrap());
    let config = fs::read(from_binary.shipped_config()).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["ServiceSettings"]["SessionLengthWebInHours"], 720, "the fresh default");
    assert!(from_binary.capabilities().sqlite);
    let manifest = fs::read_to_string(from_binary.root().join("manifest.txt")).unwrap();
    assert!(manifest.starts_with(&release::builtin().to_string()), "{manifest}");

    // The release is a copy: the next mainstay does not change it.
    write_program(&binary, b"#!/bin/sh\nexit 1\n");
    assert_ne!(fs::read(from_binary.binary()).unwrap(), fs::read(&binary).unwrap());
    let error = release::pack_builtin_to(&dir.path().join("absent"), &two).unwrap_err();
    assert!(matches!(error, ReleaseError::Disk { .. }));
}

#[test]
fn a_large_binary_is_unpacked_quickly() {
    let dir = tempfile::tempdir().unwrap();
    let script = fs::read(builtin_binary(dir.path())).unwrap();
    let binary = write_program(&dir.path().join("large"), &[script, vec![7; 40 << 20]].concat());
    let releases = dir.path().join("releases");
    fs::create_dir(&releases).unwrap();
    let began = Instant::now();
    unpack_from(&Origin::Builtin, &binary, &releases).unwrap();
    let took = began.elapsed();
    println!("unpacking the built-in server of 40 MiB took {took:?}");
    // The budget is 150 ms; a shared machine and an unoptimised build get ten times that.
    assert!(took.as_millis() < 3000, "{took:?}");
}

#[test]
fn installed_releases_are_listed_and_the_current_one_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let releases = dir.path().join("releases");
    assert!(release::installed(&releases).unwrap().is_empty());
    for name in ["11.7.15-team", "9.11.18-team", ".unpack-x", "11.6.0+0.1.0-builtin", "notes"] {
        fs::create_dir_all(releases.join(name)).unwrap();
    }
    let ids: Vec<String> = release::installed(&releases).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["9.11.18-team", "11.6.0+0.1.0-builtin", "11.7.15-team"]);
    let link = dir.path().join("current");
    assert_eq!(release::current(&link), None);
    std::os::unix::fs::symlink("releases/11.7.15-team", &link).unwrap();
    assert_eq!(release::current(&link).unwrap().to_string(), "11.7.15-team");
    assert_eq!(release::name_of(&releases.join("11.7.15-team")), "11.7.15-team");
}
