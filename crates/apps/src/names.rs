//! What an app's functions and files are called on AWS and OpenFaaS.
//!
//! The rules are those of Mattermost's plugin, so that what another tool deployed is found. Where the plugin's long name has
//! dots, AWS refuses it: [`lambda`] then gives the name that AWS accepts, and [`lambda_candidates`] both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How long AWS lets a function's name be, in bytes.
pub const LAMBDA_MAX: usize = 64;
/// How long S3 lets an object's key be, in bytes.
pub const KEY_MAX: usize = 1024;

/// What the keys of static files begin with.
pub const STATIC: &str = "static/";
/// What the keys of manifests begin with.
pub const MANIFESTS: &str = "manifests/";

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
    let room = LAMBDA_MAX.saturating_sub(id.len() + version.len() + 2);
    let mut hex = sha256(name.as_bytes());
    hex.truncate(room);
    format!("{id}_{version}_{hex}")
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The key of a static file in the bucket: `static/com.mattermost.servicenow_0.1.0_app/photo.png`. `name` is relative to `static/`.
pub fn static_key(app_id: &str, version: &str, name: &str) -> String {
    format!("{}{}", static_prefix(app_id, version), name.replace(' ', "-"))
}

/// What the keys of all static files of an app begin with.
pub fn static_prefix(app_id: &str, version: &str) -> String {
    format!("{STATIC}{app_id}_{version}_app/")
}

/// The key of a manifest in the bucket: `manifests/com.mattermost.servicenow_0.1.0.json`.
pub fn manifest_key(app_id: &str, version: &str) -> String {
    format!("{MANIFESTS}{app_id}_{version}.json")
}

/// The name of a function on OpenFaaS: `hello-serverless-v1-2-0-hello`.
pub fn open_faas(app_id: &str, version: &str, function: &str) -> String {
    let function = function.replace([' ', '_', '.'], "-").to_lowercase();
    format!("{}-{}-{function}", app_id.replace('.', "-"), version.replace('.', "-"))
}

/// Two things that would get the same name, and that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The one that comes first.
    pub first: String,
    /// The other.
    pub second: String,
    /// The name of both.
    pub name: String,
}

/// The things of a list that would get the same name. The names are not unique by themselves: `a b.txt` and `a-b.txt` have one key, and
/// `f x` and `f-x` one function. A thing that is in the list twice is one of them.
pub fn collisions<'a>(
    things: impl IntoIterator<Item = &'a str>,
    name_of: impl Fn(&str) -> String,
) -> Vec<Collision> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut collisions = Vec::new();
    for thing in things {
        let name = name_of(thing);
        match owners.get(&name) {
            Some(first) => {
                collisions.push(Collision { first: (*first).to_owned(), second: thing.to_owned(), name });
            }
            None => drop(owners.insert(name, thing)),
        }
    }
    collisions
}

/// The id and the version of a manifest's key. A version with `_` cannot be told from an id with `_`: Mattermost, and so we, take the
/// last `_` for the border.
pub fn app_of_manifest_key(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("manifests/")?.strip_suffix(".json")?.rsplit_once('_')
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

    #[test]
    fn what_would_share_a_name_is_found() {
        let key = |name: &str| static_key("abc", "1", name);
        let found = collisions(["a b.txt", "b.txt", "a-b.txt", "A b.txt"], key);
        let name = "static/abc_1_app/a-b.txt".to_owned();
        assert_eq!(found, [Collision { first: "a b.txt".into(), second: "a-b.txt".into(), name }]);
        assert_eq!(collisions(["f x", "f-x", "f x"], |name| lambda("abc", "1", name)).len(), 2);
    }

    #[test]
    fn a_manifest_key_says_which_app_it_is() {
        assert_eq!(app_of_manifest_key("manifests/a_b_1.0.json"), Some(("a_b", "1.0")));
        assert_eq!(app_of_manifest_key("manifests/abc_.json"), Some(("abc", "")));
        assert_eq!(app_of_manifest_key("manifests/abc.json"), None);
        assert_eq!(app_of_manifest_key("static/abc_1.json"), None);
    }

    mod properties {
        use proptest::prelude::*;

        use super::super::*;

        const ID: &str = "[A-Za-z0-9._-]{3,32}";
        const VERSION: &str = "[A-Za-z0-9._-]{0,10}";
        /// As people name functions that AWS can have: `lambda` changes spaces and nothing else.
        const FUNCTION: &str = "[A-Za-z0-9 _-]{1,200}";

        proptest! {
            /// AWS takes every name: at most 64 bytes of its alphabet.
            #[test]
            fn names_are_ones_that_aws_takes(id in ID, version in VERSION, function in FUNCTION) {
                let name = lambda(&id, &version, &function);
                prop_assert!(!name.is_empty() && name.len() <= LAMBDA_MAX);
                prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{name}");
            }

            /// A function's name never depends on anything else, and what was deployed under the old long name is found.
            #[test]
            fn candidates_begin_with_ours_and_are_equally_long(id in ID, version in VERSION, function in FUNCTION) {
                let candidates = lambda_candidates(&id, &version, &function);
                prop_assert_eq!(&candidates[0], &lambda(&id, &version, &function));
                prop_assert!(candidates.len() <= 2 && candidates.iter().all(|name| name.len() == candidates[0].len()));
            }

            /// Where two functions of an app get one name, that is found; where nothing is found, all names differ.
            #[test]
            fn functions_of_an_app_share_no_name_unseen(
                id in ID,
                version in VERSION,
                functions in proptest::collection::btree_set("[ab -]{1,3}", 1..12),
            ) {
                let names: std::collections::BTreeSet<String> =
                    functions.iter().map(|function| lambda(&id, &version, function)).collect();
                let found = collisions(functions.iter().map(String::as_str), |f| lambda(&id, &version, f));
                prop_assert_eq!(names.len() + found.len(), functions.len());
            }

            /// The files of an app have keys of their own, below its prefix.
            #[test]
            fn keys_stay_below_the_prefix_of_their_app(id in ID, version in VERSION, name in "[a-z /.-]{1,40}") {
                let key = static_key(&id, &version, &name);
                prop_assert!(key.starts_with(&static_prefix(&id, &version)) && !key.contains(' '));
                prop_assert_eq!(key.len(), static_prefix(&id, &version).len() + name.len());
            }

            /// Without `_` in the version, a manifest's key says which app it is.
            #[test]
            fn manifest_keys_are_read_back(id in ID, version in "[A-Za-z0-9.-]{0,10}") {
                let key = manifest_key(&id, &version);
                prop_assert_eq!(app_of_manifest_key(&key), Some((id.as_str(), version.as_str())));
            }
        }
    }
}
