//! What an app's functions and files are called on AWS and OpenFaaS.
//!
//! The rules are those of Mattermost's plugin, so that what another tool deployed is found. Where the plugin's long name has
//! dots, AWS refuses it: [`lambda`] then gives the name that AWS accepts, and [`lambda_candidates`] both.

use std::fmt::Write as _;

/// How long AWS lets a function's name be, in bytes.
pub const LAMBDA_MAX: usize = 64;
/// How long S3 lets an object's key be, in bytes.
pub const KEY_MAX: usize = 1024;

/// The name of a function on AWS Lambda: `com-mattermost-servicenow_0-1-0_function1`.
pub fn lambda(app_id: &str, version: &str, function: &str) -> String {
    let (id, version) = (app_id.replace('.', "-"), version.replace('.', "-"));
    let name = short(&id, &version, function);
    if name.len() <= LAMBDA_MAX { name } else { hashed(&id, &version, &name) }
}

/// The names under which a function may have been deployed, ours first: Mattermost's plugin keeps the dots in a long name.
pub fn lambda_candidates(app_id: &str, version: &str, function: &str) -> Vec<String> {
    let ours = lambda(app_id, version, function);
    let name = short(&app_id.replace('.', "-"), &version.replace('.', "-"), function);
    let theirs = hashed(app_id, version, &name);
    if name.len() <= LAMBDA_MAX || theirs == ours { vec![ours] } else { vec![ours, theirs] }
}

fn short(id: &str, version: &str, function: &str) -> String {
    format!("{id}_{version}_{}", function.replace(' ', "-"))
}

/// As much of the whole name's SHA-256 as there is room for.
fn hashed(id: &str, version: &str, name: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let room = LAMBDA_MAX.saturating_sub(id.len() + version.len() + 2);
    let mut hex = String::with_capacity(64);
    for byte in digest.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(room);
    format!("{id}_{version}_{hex}")
}

/// The key of a static file in the bucket: `static/com.mattermost.servicenow_0.1.0_app/photo.png`. `name` is relative to `static/`.
pub fn static_key(app_id: &str, version: &str, name: &str) -> String {
    format!("{}{}", static_prefix(app_id, version), name.replace(' ', "-"))
}

/// What the keys of all static files of an app begin with.
pub fn static_prefix(app_id: &str, version: &str) -> String {
    format!("static/{app_id}_{version}_app/")
}

/// The key of a manifest in the bucket: `manifests/com.mattermost.servicenow_0.1.0.json`.
pub fn manifest_key(app_id: &str, version: &str) -> String {
    format!("manifests/{app_id}_{version}.json")
}

/// The name of a function on OpenFaaS: `hello-serverless-v1-2-0-hello`.
pub fn open_faas(app_id: &str, version: &str, function: &str) -> String {
    let function = function.replace([' ', '_', '.'], "-").to_lowercase();
    format!("{}-{}-{function}", app_id.replace('.', "-"), version.replace('.', "-"))
}

/// The bucket where nothing else is said.
pub const BUCKET: &str = "mattermost-apps-bucket";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_called_as_the_plugin_calls_them() {
        let long = "function-with-very-very-very-very-very-very-very-long-name";
        let cases = [
            ("com.mattermost.servicenow", "0.1.0", "function1", "com-mattermost-servicenow_0-1-0_function1"),
            (
                "com.mattermost.servicenow",
                "0.1.0",
                "go-function",
                "com-mattermost-servicenow_0-1-0_go-function",
            ),
            (
                "com.mattermost.servicenow",
                "0.1.0",
                "function with spaces",
                "com-mattermost-servicenow_0-1-0_function-with-spaces",
            ),
            (
                "com.mattermost.servicenow",
                "0.1.0",
                long,
                "com-mattermost-servicenow_0-1-0_95f51579baba92ea2a0a3ad98c24fcbc",
            ),
            ("testID", "v00.00.000", "subtopic", "testID_v00-00-000_subtopic"),
            ("hello-serverless", "v1.2.0", "hello-serverless", "hello-serverless_v1-2-0_hello-serverless"),
            ("google-drive", "1.0.0", "bundle", "google-drive_1-0-0_bundle"),
            ("abc", "", "main", "abc__main"),
        ];
        for (id, version, function, expected) in cases {
            assert_eq!(lambda(id, version, function), expected);
        }
        assert_eq!(
            lambda_candidates("com.mattermost.servicenow", "0.1.0", long)[1],
            "com.mattermost.servicenow_0.1.0_95f51579baba92ea2a0a3ad98c24fcbc"
        );
        assert_eq!(lambda(&"a".repeat(32), "v00.00.000", &"f".repeat(20)).len(), 64);
    }

    #[test]
    fn objects_are_called_as_the_plugin_calls_them() {
        assert_eq!(
            static_key("hello-serverless", "v1.2.0", "img/logo big.png"),
            "static/hello-serverless_v1.2.0_app/img/logo-big.png"
        );
        assert_eq!(
            manifest_key("com.mattermost.servicenow", "0.1.0"),
            "manifests/com.mattermost.servicenow_0.1.0.json"
        );
        assert_eq!(manifest_key("abc", ""), "manifests/abc_.json");
        assert_eq!(open_faas("com.Foo.bar", "1.0.0", "My Func_v2.1"), "com-Foo-bar-1-0-0-my-func-v2-1");
    }
}
