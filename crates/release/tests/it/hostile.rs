//! Archives that try to get out, fill the disk, or are not whole.
use std::fs;
use std::io::Cursor;

use flate2::Compression;
use release::{Limits, ReleaseError};
use tar::EntryType;

use crate::tarball::{Tarball, gz, unpack};

/// A header whose long name claims many bytes.
fn long_name(size: usize) -> Tarball {
    Tarball::official().raw(EntryType::GNULongName, b"././@LongLink", 0o644, b"", &vec![b'a'; size])
}

/// One extended header record: its length counts itself.
fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|n: &usize| n.to_string().len() + rest.len() == *n).unwrap();
    format!("{length}{rest}").into_bytes()
}

#[test]
fn a_harmful_archive_is_refused_with_the_rule_it_breaks_and_nothing_stays() {
    let official = Tarball::official;
    let raw = |kind, name: &str, mode, link: &str| {
        official().raw(kind, name.as_bytes(), mode, link.as_bytes(), b"")
    };
    let regular = EntryType::Regular;
    let table: Vec<(&str, Tarball, &str)> = vec![
        ("absolute name", official().file("/etc/cron.d/evil", b"x"), "absolute"),
        ("parent name", official().file("mattermost/../../evil", b"x"), "\"..\""),
        ("parent at the end", official().directory("mattermost/client/.."), "\"..\""),
        ("outside the top", official().file("evil", b"x"), "outside the directory mattermost"),
        ("second top", official().file("mattermost2/bin/x", b"x"), "outside the directory mattermost"),
        ("top is a file", Tarball::empty().file("mattermost", b"x"), "not a directory"),
        ("control character", official().file("mattermost/a\nb", b"x"), "control characters"),
        ("not UTF-8", official().raw(regular, b"mattermost/\xff\xfe", 0o644, b"", b"x"), "UTF-8"),
        ("same file twice", official().file("mattermost/a", b"1").file("mattermost/a", b"2"), "twice"),
        ("program replaced", official().program("mattermost/./bin//mattermost", b"evil"), "twice"),
        ("directory twice", official().directory("mattermost/client/"), "twice"),
        ("file for a directory", official().file("mattermost/client", b"x"), "twice"),
        ("link for a directory", official().link("mattermost/bin", "client"), "twice"),
        (
            "below a file",
            official().file("mattermost/a", b"x").file("mattermost/a/b", b"x"),
            "is not a directory",
        ),
        ("absolute link", official().link("mattermost/l", "/etc/passwd"), "outside the release"),
        ("link out", official().link("mattermost/client/l", "../../etc"), "outside the release"),
        ("link in two steps", official().link("mattermost/client/l", "x/../../.."), "outside the release"),
        ("empty link", official().link("mattermost/l", ""), "points nowhere"),
        (
            "write through a link",
            official().link("mattermost/l", "client").file("mattermost/l/x", b"x"),
            "is not a directory",
        ),
        ("hard link", raw(EntryType::Link, "mattermost/h", 0o644, "mattermost/bin/mattermost"), "hard link"),
        ("hard link out", raw(EntryType::Link, "mattermost/h", 0o644, "/etc/shadow"), "hard link"),
        ("character device", raw(EntryType::Char, "mattermost/null", 0o666, ""), "device"),
        ("block device", raw(EntryType::Block, "mattermost/sda", 0o666, ""), "device"),
        ("named pipe", raw(EntryType::Fifo, "mattermost/pipe", 0o666, ""), "named pipe"),
        ("sparse file", raw(EntryType::GNUSparse, "mattermost/s", 0o644, ""), "neither a file"),
        ("unknown kind", raw(EntryType::new(b'Z'), "mattermost/z", 0o644, ""), "neither a file"),
        ("set-uid", official().raw(regular, b"mattermost/bin/su", 0o4755, b"", b"x"), "set-uid"),
        ("set-gid", official().raw(regular, b"mattermost/bin/sg", 0o2755, b"", b"x"), "set-uid"),
        (
            "directory with content",
            official().raw(EntryType::Directory, b"mattermost/d/", 0o755, b"", b"x"),
            "content",
        ),
        ("endless name", long_name(2 << 20), "a header takes more than"),
        ("name too long", long_name(300).file("x", b""), "outside the directory"),
        (
            "extended header name",
            official()
                .raw(EntryType::XHeader, b"x", 0o644, b"", &pax("path", "../evil"))
                .file("mattermost/x", b"x"),
            "\"..\"",
        ),
        (
            "extended header link",
            official()
                .raw(EntryType::XHeader, b"x", 0o644, b"", &pax("linkpath", "/etc/passwd"))
                .link("mattermost/l", "client"),
            "outside the release",
        ),
        ("no server", Tarball::empty().directory("mattermost/"), "bin/mattermost"),
        ("server without x", Tarball::empty().file("mattermost/bin/mattermost", b"x"), "not an executable"),
        ("no settings", Tarball::empty().program("mattermost/bin/mattermost", b"x"), "config/config.json"),
        (
            "no client",
            Tarball::empty()
                .program("mattermost/bin/mattermost", b"x")
                .file("mattermost/config/config.json", b""),
            "client",
        ),
    ];
    assert!(table.len() >= 15);
    for (what, tarball, rule) in table {
        let tar = tarball.tar();
        for bytes in [tar.clone(), gz(&tar)] {
            let error = unpack(&bytes).map(|_| ()).expect_err(what);
            assert!(matches!(error, ReleaseError::Refused { .. }), "{what}: {error:?}");
            assert!(error.to_string().contains(rule), "{what}: {error}");
        }
    }
}

#[test]
fn a_file_that_is_not_a_tarball_is_refused_by_what_it_is() {
    for (bytes, what) in [
        (&b"PK\x03\x04 and so on"[..], "zip"),
        (b"\x28\xb5\x2f\xfd and so on", "zstd"),
        (b"\xfd7zXZ\0 and so on", "xz"),
        (b"<!doctype html><title>404</title>", "web page"),
        (b"", "empty"),
        (b"not a tarball", "block"),
    ] {
        let error = unpack(bytes).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn an_error_does_not_quote_a_file_that_is_not_an_archive() {
    let secrets = "password = \"hunter2\"\n".repeat(60);
    for bytes in [secrets.as_bytes().to_vec(), gz(secrets.as_bytes())] {
        let error = unpack(&bytes).map(|_| ()).unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("password"), "{error}");
    }
}

#[test]
fn a_tarball_that_is_cut_off_anywhere_is_damaged() {
    let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tar = Tarball::official().file("mattermost/client/noise", &noise).tar();
    let packed = gz(&tar);
    unpack(&tar).unwrap();
    unpack(&packed).unwrap();
    for (whole, step) in [(&packed, 211), (&tar, 331)] {
        let last = whole.len().saturating_sub(24)..whole.len();
        for cut in (1..whole.len()).step_by(step).chain(last) {
            let error =
                unpack(&whole[..cut]).map(|_| ()).expect_err(&format!("cut at {cut} of {}", whole.len()));
            let ReleaseError::Damaged { at, .. } = error else { panic!("cut at {cut}: {error:?}") };
            assert!(at <= cut as u64, "{at} of {cut}");
        }
    }
    let error = unpack(&packed[..packed.len() / 2]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("near byte") && error.contains("mattermost/client/noise"), "{error}");
}

#[test]
fn a_changed_byte_is_damage_unless_the_content_is_the_same() {
    let page = [b'x'; 5000];
    let packed = Tarball::official().file("mattermost/client/page", &page).tar_gz();
    let mut damaged = 0;
    let places = (10..packed.len()).step_by(3);
    for at in places.clone() {
        let mut changed = packed.clone();
        changed[at] ^= 0x10;
        match unpack(&changed) {
            Err(_) => damaged += 1,
            // Some bits of a compressed stream mean nothing; the checksum at its end says so.
            Ok((_, release)) => {
                assert_eq!(fs::read(release.root().join("client/page")).unwrap(), page, "byte {at}");
                assert_eq!(release.id().to_string(), "11.7.15-team");
            }
        }
    }
    assert!(damaged > places.len() / 2, "{damaged} of {}", places.len());
    for at in packed.len() - 8..packed.len() {
        let mut changed = packed.clone();
        changed[at] ^= 0x10;
        assert!(matches!(unpack(&changed), Err(ReleaseError::Damaged { .. })), "byte {at} of the checksum");
    }
}

#[test]
fn nothing_may_follow_the_end_mark() {
    let open = Tarball::official().open_ended();
    assert!(unpack(&open).is_err(), "no end mark");
    assert!(unpack(&[&open[..], &[0; 512]].concat()).is_err(), "half an end mark");
    unpack(&[&open[..], &[0; 10 * 1024]].concat()).unwrap();
    let second = Tarball::official().tar();
    let error = unpack(&Tarball::official().and(&[0; 1024]).and(&second).tar_gz()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("there is data after its end mark"), "{error}");
    let trailing = [&Tarball::official().tar_gz()[..], b"trailing"].concat();
    assert!(unpack(&trailing).is_err(), "bytes after the compressed stream");
}

#[test]
fn an_archive_that_grows_too_much_is_refused_at_the_limits() {
    let releases = tempfile::tempdir().unwrap();
    let unpack = |bytes: Vec<u8>, limits| {
        let error =
            release::unpack_stream("bomb", Cursor::new(bytes), &crate::confining(), releases.path(), limits)
                .unwrap_err();
        assert_eq!(crate::names(releases.path()), [""; 0]);
        error.to_string()
    };
    let zeros = Tarball::official().file("mattermost/client/zeros", &vec![0; 80 << 20]).tar();
    let mut best = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut best, &zeros).unwrap();
    let bomb = best.finish().unwrap();
    assert!(bomb.len() < 200_000);
    let error = unpack(bomb.clone(), Limits::default());
    assert!(error.contains("more than 100 times its size"), "{error}");
    let error = unpack(bomb, Limits { bytes: 1 << 20, ..Limits::default() });
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let many = (0..50).fold(Tarball::official(), |t, n| t.file(&format!("mattermost/client/{n}"), b""));
    let error = unpack(many.tar(), Limits { members: 50, ..Limits::default() });
    assert!(error.contains("more than 50 members"), "{error}");
}

#[test]
fn a_directory_that_is_missing_is_not_reported_as_a_bad_archive() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("releases");
    let unpack = |bytes, into| {
        release::unpack_stream("t", Cursor::new(bytes), &crate::confining(), into, Limits::default())
    };
    let error = unpack(Tarball::official().tar(), &absent).unwrap_err();
    assert!(matches!(error, ReleaseError::Disk { .. }), "{error:?}");
}
