//! Signatures that GnuPG makes, and keys that it reads.
use std::fs;
use std::path::Path;
use std::process::Command;

use release::{PublicKey, SignatureError, Unproven};
use testbed::signing_key::SigningKey;

/// Runs `gpg` with a home of its own, and ends what it has started there.
fn gpg(home: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("gpg")
        .arg("--homedir")
        .arg(home)
        .args(["--batch", "--yes", "--quiet", "--passphrase", ""])
        .args(args)
        .output();
    let output = output.expect("gpg runs: install gnupg");
    assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

struct Home(tempfile::TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).status();
    }
}

#[test]
fn what_gnupg_signs_is_verified() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Home(tempfile::tempdir().unwrap());
    let home = dir.0.path();
    fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
    let file = home.join("a.tar.gz");
    fs::write(&file, vec![b'x'; 1_000_000]).unwrap();
    gpg(home, &["--quick-generate-key", "Releases <r@example.com>", "rsa2048", "sign", "2y"]);
    let listed = String::from_utf8(gpg(home, &["--with-colons", "--list-keys"])).unwrap();
    let fingerprint = |record: &str| {
        let mut lines = listed.lines().skip_while(|line| !line.starts_with(record));
        lines.find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned()
    };
    let primary = fingerprint("pub:");
    let path = file.to_str().unwrap();
    let sign = |options: &[&str]| gpg(home, &[options, &["--output", "-", "--detach-sign", path]].concat());
    let binary = sign(&[]);
    let of_sha512 = sign(&["--digest-algo", "SHA512", "--armor"]);
    let of_sha1 = sign(&["--digest-algo", "SHA1"]);
    // From here on a subkey signs.
    gpg(home, &["--quick-add-key", &primary, "rsa2048", "sign", "1y"]);
    let by_subkey = sign(&[]);
    let exported = gpg(home, &["--armor", "--export"]);

    let key = PublicKey::read(&exported, primary.parse().unwrap()).unwrap();
    for signature in [&binary, &of_sha512, &by_subkey] {
        let proof = release::prove(&file, signature, &key, None).unwrap();
        assert_eq!((proof.signed_by.to_string(), proof.key_expired), (primary.clone(), None));
    }
    let weak = release::prove(&file, &of_sha1, &key, None).unwrap_err().to_string();
    assert!(weak.contains("SHA-1"), "{weak}");
    fs::write(&file, b"other").unwrap();
    let changed = release::prove(&file, &binary, &key, None).unwrap_err();
    assert!(matches!(changed, Unproven::Signature(SignatureError::Mismatch)), "{changed}");
    // The file that the key was exported to is cut off anywhere, and nothing worse happens than that it is refused.
    let whole = gpg(home, &["--export"]);
    for end in 0..whole.len() {
        let _ = PublicKey::read(&whole[..end], primary.parse().unwrap());
    }
}

#[test]
fn what_the_tests_sign_is_verified_by_gnupg() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Home(tempfile::tempdir().unwrap());
    let home = dir.0.path();
    fs::set_permissions(home, fs::Permissions::from_mode(0o700)).unwrap();
    let key = SigningKey::new();
    let [public, content, signature] = ["key.gpg", "a.tar.gz", "a.tar.gz.sig"].map(|name| home.join(name));
    fs::write(&public, key.public(0)).unwrap();
    fs::write(&content, b"content").unwrap();
    fs::write(&signature, key.sign(b"content")).unwrap();
    gpg(home, &["--import", public.to_str().unwrap()]);
    let listed = String::from_utf8(gpg(home, &["--with-colons", "--list-keys"])).unwrap();
    let packets = gpg(home, &["--list-packets", public.to_str().unwrap()]);
    assert!(listed.contains(&key.fingerprint()), "{listed}{}", String::from_utf8_lossy(&packets));
    gpg(home, &["--verify", signature.to_str().unwrap(), content.to_str().unwrap()]);
}
