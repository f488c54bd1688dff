//! Manifests that Mattermost's own tests accept and refuse, and those that its tests lack.

use std::path::Path;

use apps::{Generation, Given, Manifest, convert};
use finding::{Finding, Location, Severity};
use serde_json::{Value, json};

fn read(text: &str) -> Result<(Manifest, Vec<Finding>), apps::Error> {
    Manifest::read(Path::new("manifest.json"), text.as_bytes())
}

/// The errors of a manifest, as they are printed.
fn errors(text: &str) -> Vec<String> {
    let error = read(text).expect_err(text);
    let errors = error.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| format!("{}: {finding}", finding.location.as_ref().expect("a place"))).collect()
}

/// The warnings of a manifest that can be used.
fn warnings(text: &str) -> Vec<String> {
    let (_, warnings) = read(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    warnings.iter().map(ToString::to_string).collect()
}

/// A small manifest that is right, with these fields added, or removed where they are null.
#[expect(clippy::needless_pass_by_value, reason = "each call makes the value that it gives")]
fn with(changes: Value) -> String {
    let mut manifest = json!({
        "app_id": "abc",
        "display_name": "d",
        "homepage_url": "https://example.org",
        "http": {"root_url": "https://example.org/root"},
    });
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            manifest.as_object_mut().expect("an object").remove(name);
        } else {
            manifest[name] = value.clone();
        }
    }
    manifest.to_string()
}

fn function() -> Value {
    json!({"path": "/", "name": "go-funcion", "handler": "hello-lambda", "runtime": "go1.x"})
}

#[test]
fn what_mattermost_accepts() {
    for text in [
        with(json!({})),
        with(json!({"http": null, "aws_lambda": {"functions": [function()]}})),
        with(json!({"http": null, "open_faas": {"functions": [{"path": "/", "name": "hello"}]}})),
        with(json!({"http": null, "plugin": {"plugin_id": "com.example.p"}})),
        with(json!({"aws_lambda": {"functions": [function()]}, "plugin": {"plugin_id": "p"}})),
        with(json!({"version": "v1.0.0-rc1", "icon": "img/icon.png"})),
    ] {
        assert_eq!(warnings(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_mattermost_refuses() {
    for (changes, expected) in [
        (json!({"http": null}), "there is no deployment section"),
        (json!({"display_name": null}), "`display_name` is missing"),
        (json!({"display_name": ""}), "`display_name` is empty"),
        (json!({"display_name": " \u{a0}"}), "`display_name` is empty"),
        (json!({"homepage_url": null}), "`homepage_url` is missing"),
        (json!({"homepage_url": ":invalid"}), "`homepage_url` is `:invalid`"),
        (json!({"http": {}}), "`http.root_url` is missing"),
        (json!({"http": {"root_url": ":invalid"}}), "`http.root_url` is `:invalid`"),
        (json!({"http": {"root_url": "https://a/?q=1"}}), "with a query or fragment"),
        (json!({"icon": "../.."}), "`icon` is `../..`"),
        (json!({"icon": ".."}), "`icon` is `..`"),
        (json!({"aws_lambda": {}}), "`aws_lambda.functions` is missing"),
        (json!({"aws_lambda": {"functions": []}}), "`aws_lambda.functions` is empty"),
        (json!({"open_faas": {"functions": [{"path": "/"}]}}), "`open_faas.functions[0].name` is missing"),
        (json!({"plugin": {}}), "`plugin.plugin_id` is missing"),
        (json!({"app_id": "ab"}), "`app_id` is `ab`: it has 2 bytes"),
        (json!({"app_id": "../path"}), "`/` is not allowed in it"),
        (json!({"version": "v00_00_0000"}), "it has 11 bytes"),
        (json!({"requested_permissions": ["remote_oauth2"]}), "requested without `act_as_user`"),
        (json!({"http": null, "kubeless": {"functions": []}}), "Mattermost dropped Kubeless"),
        (json!({"bindings": "no-slash"}), "it does not begin with `/`"),
        (json!({"bindings": 5}), "`bindings` is a number"),
        (json!({"requested_permissions": "act_as_bot"}), "`requested_permissions` is a text"),
        (json!({"http": []}), "`http` is a list"),
    ] {
        let text = with(changes);
        let errors = errors(&text);
        assert!(errors.len() == 1 && errors[0].contains(expected), "{text}: {errors:#?}");
    }
    for missing in ["path", "name", "handler", "runtime"] {
        let mut function = function();
        function.as_object_mut().expect("an object").remove(missing);
        let errors = errors(&with(json!({"aws_lambda": {"functions": [function]}})));
        assert!(
            errors.len() == 1 && errors[0].contains(&format!("`aws_lambda.functions[0].{missing}`")),
            "{errors:?}"
        );
    }
}

#[test]
fn every_mistake_comes_at_once_with_its_line() {
    let text = "{\n  \"app_id\": \"ab\",\n  \"homepage_url\": \"x\",\n  \"aws_lambda\": {\n    \"functions\": [\n      \
                {\"path\": \"/\",\n       \"name\": 5, \"handler\": \"h\", \"runtime\": \"\"}\n    ]\n  }\n}";
    let errors = errors(text);
    let places: Vec<&str> = errors.iter().filter_map(|error| error.split(": `").next()).collect();
    assert_eq!(
        places,
        ["manifest.json:1", "manifest.json:2", "manifest.json:3", "manifest.json:7", "manifest.json:7"],
        "{errors:#?}"
    );
    assert!(errors[0].contains("`display_name` is missing"));
    assert_eq!(read(text).expect_err("an error").what, "manifest.json cannot be used: it has 5 mistakes");
}

#[test]
fn what_is_no_manifest_is_said() {
    let good = with(json!({}));
    for (text, expected) in [
        ("null".to_owned(), "manifest.json is null, not an object"),
        ("[]".to_owned(), "manifest.json is a list, not an object"),
        (String::new(), "manifest.json:1: it is not JSON: EOF"),
        (format!("{good}\n}}"), "manifest.json:2: it is not JSON: trailing characters"),
        (format!("{good} {good}"), "manifest.json:1: it is not JSON: trailing characters"),
        (format!("\u{feff}{good}"), "byte order mark"),
        ("{\"app_id\": 'x'}".to_owned(), "manifest.json:1: it is not JSON"),
        (format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20)), "is larger than 1048576 bytes"),
    ] {
        let error = read(&text).expect_err("no manifest");
        assert!(error.what.contains(expected), "{}", error.what);
        assert!(error.hint.is_some());
    }
    let not_utf8 = Manifest::read(Path::new("m"), b"{\"a\":\n\"\xff\"}").expect_err("no UTF-8");
    assert!(not_utf8.what.starts_with("m:2: it is not JSON: there are bytes that are not UTF-8"));
}

#[test]
fn a_hostile_manifest_is_bounded() {
    let deep = format!(
        "{{\"bindings\": {{\"path\": \"/\", \"state\": {}1{}}}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert!(errors(&deep).iter().any(|error| error.contains("it is nested too deep")));
    let keys: String = (0..60_000).map(|n| format!("\"k{n}\":1,")).collect();
    let error = read(&format!("{{{keys}\"app_id\":1}}")).expect_err("no manifest");
    assert_eq!(error.findings.len(), 100);
    let encoded = format!("%{}41", "25".repeat(400_000));
    assert!(errors(&with(json!({"icon": encoded})))[0].contains("it has more than 1024 bytes"));
    let newline = errors(&with(json!({"app_id": "a\nb\u{1b}[31m"})));
    assert!(!newline[0].contains(['\n', '\u{1b}']), "{newline:?}");
}

#[test]
fn keys_are_read_as_go_reads_them() {
    let text = r#"{"APP_ID": "abc", "app_id": "abcd", "Display_Name": "d", "homepage_url": "https://e.org", "icon": null,
        "http": {"ROOT_URL": "https://e.org", "use_jwt": true}}"#;
    let (manifest, warnings) = read(text).expect("a manifest");
    assert_eq!((&*manifest.app_id, &*manifest.display_name, &*manifest.icon), ("abcd", "d", ""));
    assert!(manifest.http.is_some_and(|http| http.use_jwt && http.root_url == "https://e.org"));
    let warnings: Vec<String> = warnings.iter().map(|warning| warning.what.clone()).collect();
    assert_eq!(
        warnings,
        [
            "`APP_ID` is given twice",
            "`Display_Name` is read as `display_name`",
            "`ROOT_URL` is read as `root_url`"
        ]
    );
}

#[test]
fn what_mattermost_ignores_is_a_warning_with_the_nearest_name() {
    for (changes, expected) in [
        (json!({"dislpay_name": "x"}), "did you mean `display_name`?"),
        (json!({"requested_permissions": ["act_as_bto"]}), "did you mean `act_as_bot`?"),
        (json!({"requested_permissions": ["act_as_admin"]}), "Mattermost grants nothing for it"),
        (json!({"requested_locations": ["/comand"]}), "did you mean `/command`?"),
        (json!({"requested_locations": ["/elsewhere"]}), "no client shows anything there"),
        (json!({"bindings": {"path": "/b", "expand": {"chanel": "all"}}}), "did you mean `channel`?"),
        (
            json!({"bindings": {"path": "/b", "expand": {"user": "garbage"}}}),
            "Mattermost refuses such a call",
        ),
        (json!({"bindings": {"path": "/b", "expand": {"user": "none"}}}), "Mattermost refuses such a call"),
        (json!({"remote_webhook_auth_type": "jwt"}), "refuses every webhook"),
        (json!({"version": "1_0"}), "the last"),
        (json!({"icon": "https://e.org/i.png"}), "does not find it"),
        (json!({"icon": "/i.png", "aws_lambda": {"functions": [function()]}}), "two slashes"),
        (json!({"app_type": "http"}), "`app_type` is ignored"),
    ] {
        let text = with(changes);
        let warnings = warnings(&text);
        let matches = expected == "the last" || warnings[0].contains(expected);
        assert!(warnings.len() == 1 && matches, "{text}: {warnings:#?}");
    }
    for location in ["/command/foo", "/in_post", "/post_menu", "/channel_header/x/y"] {
        assert_eq!(warnings(&with(json!({"requested_locations": [location]}))), [""; 0]);
    }
    let levels = json!({"bindings": {"path": "/b", "expand": {"user": "+all", "app": "summary", "team": "id", "post": ""}}});
    assert_eq!(warnings(&with(levels)), [""; 0]);
}

#[test]
fn a_call_is_a_path_or_an_object() {
    let text = with(
        json!({"on_install": "/short", "bindings": {"path": "/b", "expand": {"user": "all"}, "state": {"a": [1]}, "type": ""}}),
    );
    let (manifest, _) = read(&text).expect("a manifest");
    assert_eq!(manifest.on_install.expect("a call").path, "/short");
    let bindings = manifest.bindings.expect("a call");
    assert_eq!((&bindings.expand["user"], bindings.state), (&json!("all"), Some(json!({"a": [1]}))));
}

#[test]
fn old_formats_are_read_and_converted() {
    let lambda = r#"{"app_id": "com.example.old", "version": "0.1.0", "display_name": "Old", "homepage_url": "https://e.org",
        "app_type": "aws_lambda", "aws_lambda": [{"path": "/", "name": "f", "handler": "h", "runtime": "go1.x"}]}"#;
    let (manifest, found) = read(lambda).expect("a manifest");
    assert_eq!(manifest.aws_lambda.as_ref().expect("a section").functions[0].name, "f");
    assert!(found.iter().all(|finding| finding.fix.contains("`mainstay apps convert FILE`")), "{found:?}");
    assert!(found[0].what.contains("the format of the Apps plugin 0.2 to 0.7"));

    let given = Given { is_conversion: true, homepage_url: Some("https://e.org".into()), display_name: None };
    let converted = |text: &str| {
        convert(Path::new("m"), text.as_bytes(), &given).unwrap_or_else(|error| panic!("{error:?}"))
    };
    let http = converted(r#"{"app_id": "abc", "app_type": "http", "root_url": "https://a.org"}"#);
    assert_eq!((http.from, &*http.manifest.display_name), (Generation::Second, "abc"));
    assert_eq!(
        http.manifest.to_json(),
        r#"{"app_id":"abc","homepage_url":"https://e.org","display_name":"abc","http":{"root_url":"https://a.org"}}"#
    );
    assert_eq!(http.warnings, []);
    let plugin = converted(r#"{"app_id": "abc", "app_type": "plugin", "plugin_id": "p"}"#);
    assert_eq!(plugin.manifest.plugin.expect("a section").plugin_id, "p");
    let first = converted(
        r#"{"app_id": "abc", "name": "First", "lambda_functions": [{"name": "a", "handler": "h", "runtime": "go1.x"},
            {"name": "b", "handler": "h", "runtime": "go1.x"}]}"#,
    );
    assert_eq!((first.from, &*first.manifest.display_name), (Generation::First, "First"));
    let functions = first.manifest.aws_lambda.expect("a section").functions;
    assert_eq!((functions.len(), &*functions[0].path), (1, "/"));

    // What is converted is current, and says the same.
    let again =
        convert(Path::new("m"), http.manifest.to_json().as_bytes(), &Given::default()).expect("a manifest");
    assert_eq!((again.from, again.manifest, again.warnings), (Generation::Current, http.manifest, vec![]));

    for (text, expected) in [
        (r#"{"app_id": "abc", "app_type": "http"}"#, "`root_url` is missing"),
        (r#"{"app_id": "abc", "app_type": "aws_lambda"}"#, "`aws_lambda` is missing"),
        (r#"{"app_id": "abc", "app_type": "plugin"}"#, "`plugin_id` is missing"),
        (r#"{"app_id": "abc", "app_type": "builtin"}"#, "`app_type` is `builtin`"),
        (r#"{"app_id": "abc", "app_type": "aws_lambda", "aws_lambda": []}"#, "`aws_lambda` is empty"),
    ] {
        let error = convert(Path::new("m"), text.as_bytes(), &given).expect_err(text);
        assert!(error.findings.iter().any(|finding| finding.what.contains(expected)), "{text}: {error:?}");
    }
    let homepage = convert(Path::new("m"), lambda.replace("https://e.org", "").as_bytes(), &Given::default());
    assert_eq!(homepage.expect_err("none").hint.as_deref(), Some("give it with `--homepage-url URL`"));
}

#[test]
fn a_manifest_is_written_as_mattermost_writes_it() {
    let text = with(json!({"SchemaVersion": "1.2.2", "description": "a < b & c > d", "unknown": 1}));
    let (manifest, _) = read(&text).expect("a manifest");
    let expected = r#"{"SchemaVersion":"1.2.2","app_id":"abc","homepage_url":"https://example.org","display_name":"d","description":"a \u003c b \u0026 c \u003e d","http":{"root_url":"https://example.org/root"}}"#;
    assert_eq!(manifest.to_json(), expected);
    let location = read("{}").expect_err("no manifest").findings[0].location.clone();
    assert_eq!(location, Some(Location::Line { file: "manifest.json".into(), line: 1 }));
}
