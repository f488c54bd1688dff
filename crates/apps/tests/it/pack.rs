//! Bundles of directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use apps::{Bundle, TEMPLATES, names, pack, template};

fn app(name: &str, dir: &Path) {
    template(name).and_then(|template| template.write(dir, Some("com.example.hello"))).expect("an app");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let digest = |name: &str| {
        let dir = dir.path().join(name);
        app("node", &dir);
        // The order in which files were made must not matter, nor what the machine puts there.
        for file in ["b", "a", ".DS_Store"] {
            fs::write(
                dir.join("static").join(format!("{file}{}", if file.len() > 1 { "" } else { name })),
                "x",
            )
            .expect("a file");
        }
        for letter in ["a", "b"] {
            fs::rename(dir.join(format!("static/{letter}{name}")), dir.join(format!("static/{letter}")))
                .expect("renamed");
        }
        let apps::Packed { bytes, files, .. } = pack(&dir).expect("a bundle");
        assert_eq!(files, ["manifest.json", "hello.zip", "static/a", "static/b", "static/icon.png"]);
        names::sha256(&bytes)
    };
    assert_eq!(digest("one"), digest("two"));
}

#[test]
fn a_directory_is_opened_as_its_bundle() {
    let dir = tempfile::tempdir().expect("a directory");
    app("python", dir.path());
    let bundle = Bundle::open(dir.path()).expect("a bundle");
    assert_eq!(
        (&*bundle.manifest.app_id, bundle.functions.len(), bundle.assets.len()),
        ("com.example.hello", 1, 1)
    );
    assert_eq!(bundle.warnings, []);
}

#[test]
fn programs_stay_executable_and_an_archive_is_taken_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    app("go", dir.path());
    let missing = pack(dir.path()).expect_err("not built");
    assert!(missing.what.contains("function `hello` has nothing to pack"), "{}", missing.what);
    assert!(missing.hint.is_some_and(|hint| hint.contains("`make`")));
    fs::create_dir(dir.path().join("hello")).expect("a directory");
    let program = dir.path().join("hello/bootstrap");
    fs::write(&program, "x").expect("a file");
    let refused = Bundle::open(dir.path()).expect_err("not executable");
    assert!(refused.findings[0].cause.contains("its mode is 644"), "{refused:?}");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("executable");
    assert_eq!(Bundle::open(dir.path()).expect("a bundle").warnings, []);
    let archive = crate::zips::bootstrap();
    fs::write(dir.path().join("hello.zip"), &archive).expect("a file");
    let bundle = Bundle::open(dir.path()).expect("a bundle");
    assert_eq!(bundle.read(&bundle.functions[0].entry).expect("bytes"), archive);
}

#[test]
fn nothing_outside_the_directory_is_packed() {
    let dir = tempfile::tempdir().expect("a directory");
    app("node", dir.path());
    symlink("/etc/passwd", dir.path().join("static/link")).expect("a link");
    assert!(pack(dir.path()).expect_err("a link").what.contains("is a link, a pipe or a device"));
    fs::remove_file(dir.path().join("static/link")).expect("removed");
    let manifest = fs::read_to_string(dir.path().join("manifest.json")).expect("a manifest");
    fs::write(
        dir.path().join("manifest.json"),
        manifest.replace("\"name\": \"hello\"", "\"name\": \"../../etc\""),
    )
    .expect("written");
    assert!(pack(dir.path()).expect_err("outside").what.contains("is no name of a file"));
    assert!(pack(Path::new("/nowhere")).expect_err("nothing").what.contains("there is no manifest.json"));
}

#[test]
fn an_app_is_written_only_into_an_empty_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("mine"), "x").expect("a file");
    let template = TEMPLATES[0];
    assert_eq!(template.write(dir.path(), None).expect_err("not empty").exit, finding::Exit::Refused);
    assert_eq!(
        template.write(&dir.path().join("new"), Some("ab")).expect_err("too short").exit,
        finding::Exit::Usage
    );
    assert!(!dir.path().join("new").exists());
}

#[test]
fn what_is_its_authors_alone_is_left_out_and_said() {
    let dir = tempfile::tempdir().expect("a directory");
    app("python", dir.path());
    let at = |name: &str| dir.path().join(name);
    for name in ["hello/.aws", "hello/numpy/.libs"] {
        fs::create_dir_all(at(name)).expect("a directory");
    }
    let secrets =
        ["static/.env", "hello/.env.local", "hello/.aws/credentials", "hello/id_ed25519", "hello/.npmrc"];
    for name in secrets.into_iter().chain(["hello/numpy/.libs/libblas.so", "hello/cacert.pem"]) {
        fs::write(at(name), "never to be published").expect("a file");
    }
    let packed = pack(dir.path()).expect("a bundle");
    assert_eq!(packed.files, ["manifest.json", "hello.zip", "static/icon.png"]);
    let what = &packed.warnings[0].what;
    assert_eq!(
        what,
        "left out of the bundle: `hello/.aws`, `hello/.env.local`, `hello/.npmrc`, `hello/id_ed25519`, `static/.env`"
    );
    let bundle = Bundle::open(dir.path()).expect("a bundle");
    assert_eq!(bundle.warnings.len(), 1);
    let package = bundle.read(&bundle.functions[0].entry).expect("bytes");
    let package = zip::ZipArchive::new(std::io::Cursor::new(package)).expect("a zip");
    let mut names: Vec<String> =
        package.file_names().map(|name| name.expect("a name").into_owned()).collect();
    names.sort();
    assert_eq!(names, ["app.py", "cacert.pem", "numpy/.libs/libblas.so"]);
}

#[test]
fn an_app_that_cannot_be_written_whole_leaves_nothing() {
    // A path may have 4095 bytes: there is room for `/manifest.json` and not for `/hello/index.mjs`.
    let dir = tempfile::tempdir().expect("a directory");
    let mut deep = dir.path().to_owned();
    while deep.as_os_str().len() < 4081 {
        let rest = 4081 - deep.as_os_str().len();
        deep.push("z".repeat(if rest > 250 { 200 } else { rest - 1 }));
    }
    let written = TEMPLATES[1].write(&deep, Some("com.example.hello"));
    let failed = written.map(|files| files.len()).expect_err("too long a path");
    assert_eq!(failed.exit, finding::Exit::NotReady);
    assert!(!deep.join("manifest.json").exists());
}
