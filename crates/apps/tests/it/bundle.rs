//! Bundles: Mattermost's own test bundle, and those that are wrong or hostile.

use std::path::Path;

use apps::{Bundle, Error, terraform_data};
use finding::Severity;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::zips::{bootstrap, deflated, zip, zip_with};

fn open(bytes: Vec<u8>) -> Result<Bundle, Error> {
    Bundle::from_bytes(Path::new("app.zip"), bytes)
}

/// The text of an error, and of everything that was found.
fn refusal(bytes: Vec<u8>) -> String {
    let error = open(bytes).expect_err("the bundle is refused");
    let errors = error.findings.iter().filter(|finding| finding.severity == Severity::Error);
    std::iter::once(format!("{}; {}", error.what, error.hint.unwrap_or_default()))
        .chain(errors.map(ToString::to_string))
        .collect::<Vec<_>>()
        .join("\n")
}

fn manifest(functions: &[&str]) -> Vec<u8> {
    let function = |name: &&str| json!({"path": "/", "name": name, "handler": "bootstrap", "runtime": "provided.al2023"});
    let functions: Vec<Value> = functions.iter().map(function).collect();
    let mut manifest = json!({"app_id": "com.example.app", "version": "1.0.0", "display_name": "d",
        "homepage_url": "https://example.org", "http": {"root_url": "https://example.org"}});
    if !functions.is_empty() {
        manifest["aws_lambda"] = json!({ "functions": functions });
    }
    manifest.to_string().into_bytes()
}

/// A bundle with these functions and files.
fn bundle(functions: &[&str], files: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = manifest(functions);
    let mut all: Vec<(&str, &[u8])> = vec![("manifest.json", &manifest)];
    all.extend(files);
    zip(&all)
}

const LONG_FUNCTION: &str = "function-with-very-very-very-very-very-very-very-long-name";
const LONG_FILE: &str = "static-file-with-very-very-very-very-very-very-very-very-long-name.txt";

/// A bundle like the one that Mattermost's tool is tested with.
fn servicenow() -> Vec<u8> {
    let function = |name: &str, path: &str, handler: &str, runtime: &str| json!({"path": path, "name": name, "handler": handler, "runtime": runtime});
    let go = "mattermost-app-servicenow";
    let manifest = json!({
        "app_id": "com.mattermost.servicenow", "version": "0.1.0", "display_name": "ServiceNow",
        "homepage_url": "https://example.org", "app_type": "aws_lambda", "root_url": "https://example.org",
        "aws_lambda": {"functions": [
            function("function1", "/go", go, "go1.x"),
            function("function2", "/js", "index.handler", "nodejs14.x"),
            function("function with spaces", "/go", go, "go1.x"),
            function(LONG_FUNCTION, "/long", go, "go1.x"),
        ]},
    })
    .to_string();
    let go = zip(&[("mattermost-app-servicenow", b"a program")]);
    let js = zip(&[("index.js", b"exports.handler = 1")]);
    let long = format!("{LONG_FUNCTION}.zip");
    let file = format!("static/{LONG_FILE}");
    zip(&[
        ("function with spaces.zip", &go),
        (&long, &go),
        ("function1.zip", &go),
        ("function2.zip", &js),
        ("manifest.json", manifest.as_bytes()),
        ("static/", b""),
        ("static/some.json", b"{}"),
        ("static/static file with spaces.txt", b"x"),
        ("static/photo.png", b"x"),
        ("static/text.txt", b"static pong"),
        (&file, b"x"),
    ])
}

#[test]
fn the_bundle_of_mattermosts_own_test() {
    let bundle = open(servicenow()).expect("a bundle");
    assert_eq!((bundle.functions.len(), bundle.assets.len()), (4, 5));
    let text = bundle.assets.iter().find(|asset| asset.name == "text.txt").expect("the file");
    assert_eq!(bundle.read(&text.entry).expect("bytes"), b"static pong");
    bundle.verify().expect("every checksum");
    let warnings: Vec<&str> = bundle.warnings.iter().map(|warning| &*warning.what).collect();
    for expected in
        ["`app_type` is ignored", "`root_url` is ignored", "function `function1` uses the runtime `go1.x`"]
    {
        assert!(warnings.contains(&expected), "{warnings:#?}");
    }
    let retired =
        bundle.warnings.iter().find(|warning| warning.what.contains("nodejs14.x")).expect("a warning");
    assert_eq!(retired.fix, "use nodejs24.x");
}

#[test]
fn the_data_for_terraform() {
    let key = "static/com.mattermost.servicenow_0.1.0_app/";
    let name = "com-mattermost-servicenow_0-1-0_";
    let file = |file: &str, key_name: &str| {
        format!("\t\t\"{file}\": {{\n\t\t\t\"key\": \"{key}{key_name}\"\n\t\t}}")
    };
    let function = |function: &str, rest: &str, handler: &str, runtime: &str| {
        format!(
            "\t\t\"{function}\": {{\n\t\t\t\"name\": \"{name}{rest}\",\n\t\t\t\"handler\": \"{handler}\",\n\t\t\t\"runtime\": \"{runtime}\"\n\t\t}}"
        )
    };
    let go = "mattermost-app-servicenow";
    let files = [
        file("photo.png", "photo.png"),
        file("some.json", "some.json"),
        file("static file with spaces.txt", "static-file-with-spaces.txt"),
        file(LONG_FILE, LONG_FILE),
        file("text.txt", "text.txt"),
    ]
    .join(",\n");
    let functions = [
        function("function with spaces", "function-with-spaces", go, "go1.x"),
        function(LONG_FUNCTION, "95f51579baba92ea2a0a3ad98c24fcbc", go, "go1.x"),
        function("function1", "function1", go, "go1.x"),
        function("function2", "function2", "index.handler", "nodejs14.x"),
    ]
    .join(",\n");
    let expected = format!(
        "{{\n\t\"static_files\": {{\n{files}\n\t}},\n\t\"lambda_functions\": {{\n{functions}\n\t}},\n\t\"manifest_key\": \"manifests/com.mattermost.servicenow_0.1.0.json\"\n}}\n"
    );
    assert_eq!(terraform_data(&open(servicenow()).expect("a bundle")), expected);

    let empty = terraform_data(&open(bundle(&[], &[])).expect("a bundle"));
    assert_eq!(
        empty,
        "{\n\t\"static_files\": {},\n\t\"lambda_functions\": {},\n\t\"manifest_key\": \"manifests/com.example.app_1.0.0.json\"\n}\n"
    );
    let escaped = terraform_data(&open(bundle(&[], &[("static/a&<b>.txt", b"")])).expect("a bundle"));
    assert!(escaped.contains("\"a\\u0026\\u003cb\\u003e.txt\""), "{escaped}");
}

#[test]
fn a_function_is_matched_by_its_exact_name() {
    let code = bootstrap();
    let found = |functions: &[&str], archives: &[&str]| {
        let files: Vec<(&str, &[u8])> = archives.iter().map(|name| (*name, &*code)).collect();
        open(bundle(functions, &files))
    };
    let names = |bundle: &Bundle| {
        bundle.functions.iter().map(|package| package.entry.name.clone()).collect::<Vec<_>>()
    };
    let exact = found(&["a"], &["a.zip", "ba.zip"]).expect("a bundle");
    assert_eq!(names(&exact), ["a.zip"]);
    assert_eq!(exact.warnings[0].what, "`ba.zip` belongs to no function");
    assert_eq!(names(&found(&["a", "ba"], &["ba.zip", "a.zip"]).expect("a bundle")), ["a.zip", "ba.zip"]);
    assert_eq!(names(&found(&["a"], &["dist/a.jar"]).expect("a bundle")), ["dist/a.jar"]);
    let suffix = found(&["function1"], &["my-function1.zip"]).expect("a bundle");
    assert_eq!(suffix.warnings[0].what, "function `function1` is taken from `my-function1.zip`");
    for (functions, archives, expected) in [
        (&["a"][..], &["a.zip", "a.jar"][..], "function `a` has two archives"),
        (&["a"], &["xa.zip", "ya.zip"], "both end with its name"),
        (&["a", "ba"], &["ba.zip"], "function `a` has no archive"),
        (&["hello"], &["helo.zip"], "the nearest name is `helo`"),
        (&["hello"], &[], "there is no .zip and no .jar"),
        (&["a", "a"], &["a.zip"], "two functions are named `a`"),
        (&["f x", "f-x"], &["f x.zip", "f-x.zip"], "have the same name on AWS"),
        (&["a.b"], &["a.b.zip"], "is refused by AWS"),
    ] {
        let error = found(functions, archives).expect_err(expected);
        let all: Vec<String> = error.findings.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|finding| finding.contains(expected)), "{functions:?} {archives:?}: {all:#?}");
    }
}

#[test]
fn what_is_below_static_is_a_static_file() {
    let code = bootstrap();
    let files: [(&str, &[u8]); 5] = [
        ("a.zip", &code),
        ("static/", b""),
        ("static/img/", b""),
        ("static/img/x.zip", b"no zip"),
        ("notes.txt", b""),
    ];
    let bundle = open(bundle(&["a"], &files)).expect("a bundle");
    let names: Vec<&str> = bundle.assets.iter().map(|asset| &*asset.name).collect();
    assert_eq!(names, ["img/x.zip"]);
    assert_eq!(bundle.warnings.len(), 1);
    assert_eq!(bundle.warnings[0].what, "`notes.txt` is ignored");
}

#[test]
fn a_provided_runtime_needs_an_executable_bootstrap() {
    let mode = |mode| zip_with(&[("bootstrap", b"x")], SimpleFileOptions::default().unix_permissions(mode));
    let nested = zip_with(&[("hello/bootstrap", b"x")], SimpleFileOptions::default().unix_permissions(0o755));
    for (code, expected) in [
        (mode(0o644), "its mode is 644"),
        (nested, "starts a file of this name at its top"),
        (b"not a zip".to_vec(), "is not a zip file"),
        (zip(&[("../bootstrap", b"x")]), "it leaves the directory with `..`"),
    ] {
        let said = refusal(bundle(&["a"], &[("a.zip", &code)]));
        assert!(said.contains(expected), "{said}");
    }
    let stored = zip_with(&[("manifest.json", &manifest(&["a"])), ("a.zip", &bootstrap())], deflated());
    assert!(open(stored).is_ok(), "an archive in a deflated entry is read too");
}

#[test]
fn what_is_no_bundle_is_said() {
    let good = bundle(&["a"], &[("a.zip", &bootstrap())]);
    let manifest = manifest(&[]);
    for (bytes, expected) in [
        (Vec::new(), "is not a zip file"),
        (b"hello".to_vec(), "is not a zip file"),
        (good[..good.len() / 2].to_vec(), "is a damaged zip file"),
        (zip(&[("readme", b"")]), "there is no manifest.json at the top of app.zip"),
        (zip(&[("app/manifest.json", &manifest), ("app/static/x", b"")]), "it is in the directory `app`"),
        (zip(&[("manifest.json", b"null")]), "app.zip/manifest.json is null"),
        (zip(&[("manifest.json", &vec![b' '; (1 << 20) + 1])]), "is larger than 1048576 bytes"),
        (bundle(&[], &[("static/a b.txt", b""), ("static/a-b.txt", b"")]), "have the same key"),
        (bundle(&[], &[(&format!("static/{}", "x".repeat(1000)), b"")]), "S3 takes 1024"),
    ] {
        let said = refusal(bytes);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_name_that_no_disk_takes_is_told() {
    let long = "x".repeat(256);
    let file = format!("static/img/{long}");
    let bundle = open(bundle(&["f"], &[("f.zip", &bootstrap()), (&file, b"a")])).expect("AWS takes it");
    let said = bundle.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains("cannot be kept on a disk"), "{said}");
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    let package = zip_with(&[("bootstrap", b"#!/bin/sh\n"), (&format!("lib/{long}"), b"a")], options);
    let said = refusal(self::bundle(&["f"], &[("f.zip", &package)]));
    assert!(said.contains("the archive of function `f` cannot be unpacked"), "{said}");
}

#[test]
fn an_icon_must_be_in_the_bundle() {
    let manifest =
        json!({"app_id": "abc", "display_name": "d", "homepage_url": "https://e.org", "icon": "./icon.png",
        "http": {"root_url": "https://e.org"}})
        .to_string();
    let with =
        open(zip(&[("manifest.json", manifest.as_bytes()), ("static/icon.png", b"x")])).expect("a bundle");
    assert_eq!(with.warnings, []);
    let without = open(zip(&[("manifest.json", manifest.as_bytes())])).expect("a bundle");
    assert_eq!(without.warnings[0].what, "the icon `icon.png` is not in the bundle");
}

/// A zip file whose names are changed afterwards, as no writer would write them.
fn renamed(from: &str, to: &str, bytes: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(places.len() >= 2, "a name stands at the file and in the directory");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn hostile_archives_are_refused() {
    let manifest = manifest(&[]);
    let with = |name: &str| zip(&[("manifest.json", &manifest), (name, b"x")]);
    let symlink = {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer.add_symlink("static/link", "/etc/passwd", SimpleFileOptions::default()).expect("a link");
        writer.finish().expect("a zip file").into_inner()
    };
    let zeros = vec![0; 8 << 20];
    for (bytes, expected) in [
        (with("static/../../etc/passwd"), "it leaves the directory with `..`"),
        (with("/etc/passwd"), "it is an absolute path"),
        (with("static\\x"), "it has a backslash"),
        (with("C:x"), "it names a drive"),
        (with("static//x"), "a part of the path is empty"),
        (with("static/./x"), "a part of the path is empty or `.`"),
        (with("static/a\nb"), "it has a control character"),
        (renamed("static/xy", "static/\u{e9}", &with("static/xy")), ""),
        (zip(&[("manifest.json", &manifest), ("static/A", b""), ("static/a", b"")]), "differ only in case"),
        (
            zip(&[("manifest.json", &manifest), ("static/a", b""), ("static/a/b", b"")]),
            "is a file and a directory",
        ),
        (
            renamed("static/b", "static/a", &zip(&[("static/a", b"1"), ("static/b", b"2")])),
            "a name occurs twice",
        ),
        (symlink, "is a link or a device"),
        (
            zip_with(&[("manifest.json", &manifest), ("static/zeros", &zeros)], deflated()),
            "is packed more than 200 times",
        ),
    ] {
        if expected.is_empty() {
            assert!(open(bytes).is_ok(), "a name in UTF-8 is a name");
            continue;
        }
        let said = refusal(bytes);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// An archive can say anything about its sizes.
#[test]
fn a_file_that_lies_about_its_size_is_damaged() {
    let honest = zip_with(&[("manifest.json", &manifest(&[])), ("static/a", &[b'a'; 5000])], deflated());
    let mut shorter = honest.clone();
    let (size, lie) = (5000_u32.to_le_bytes(), 10_u32.to_le_bytes());
    let places: Vec<usize> =
        honest.windows(4).enumerate().filter(|(_, window)| *window == size).map(|(at, _)| at).collect();
    for at in places {
        shorter[at..at + 4].copy_from_slice(&lie);
    }
    let bundle = open(shorter).expect("the names are right");
    let error = bundle.verify().expect_err("the size is wrong");
    assert!(error.what.contains("static/a in app.zip is damaged"), "{}", error.what);

    let stored = zip(&[("manifest.json", &manifest(&[])), ("static/a", b"a lot of text")]);
    let at = stored.windows(5).position(|window| window == b"a lot").expect("the text");
    let mut flipped = stored.clone();
    flipped[at] ^= 1;
    assert!(open(flipped).expect("the names are right").verify().is_err(), "the checksum is compared");
}

#[test]
fn a_huge_file_is_refused_without_being_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("huge.zip");
    std::fs::File::create(&path).and_then(|file| file.set_len(5 << 30)).expect("a sparse file");
    let error = Bundle::open(&path).expect_err("too large");
    assert!(error.what.ends_with("has 5120 MB; a bundle has at most 2048 MB"), "{}", error.what);
    for path in [dir.path().join("missing.zip"), "/dev/zero".into()] {
        assert_eq!(Bundle::open(&path).expect_err("no file").exit, finding::Exit::NotReady);
    }
}

/// Nothing that a broken bundle holds makes the reader fail in another way than with an error.
#[test]
fn damage_anywhere_is_an_error_and_no_crash() {
    let good = servicenow();
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        if let Ok(bundle) = open(bytes) {
            let _ = bundle.verify();
        }
        if let Ok(bundle) = open(good[..at].to_vec()) {
            let _ = bundle.verify();
        }
    }
}
