//! What a bundle wants on AWS: the functions, the objects, their names. Pure: refused here is whatever cannot be deployed.

use std::collections::{BTreeMap, BTreeSet};

use apps::{About, Error, Manifest, names};
use finding::{Exit, Finding};
use secrecy::SecretString;

use crate::observed::{Live, Observed};
use crate::record::{Function, Object, Release};

/// The role that functions run as, where nothing else is said.
pub const ROLE: &str = "mattermost-apps-execute-lambda-role";
/// The invoke policy, where nothing else is said.
pub const POLICY: &str = "mattermost-apps-invoke-policy";

/// Seconds: Mattermost waits this long for an answer. AWS's own default is 3.
const TIMEOUT: i32 = 30;
const AWS_TIMEOUT: i32 = 3;
const MEMORY: i32 = 128;

/// How a bundle is to be deployed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Seconds.
    pub timeout: Option<i32>,
    /// Megabytes.
    pub memory: Option<i32>,
    /// `x86_64` or `arm64`.
    pub architecture: Option<String>,
    /// Variables that the functions get besides those that they have.
    pub environment: BTreeMap<String, SecretString>,
    /// Variables that they lose.
    pub unset: Vec<String>,
    /// Another execution role than [`ROLE`].
    pub role: Option<String>,
    /// Another invoke policy than [`POLICY`].
    pub policy: Option<String>,
    /// Take over functions and files that another tool deployed.
    pub adopt: bool,
    /// Deploy without a call of `/ping` and of a static file at the end.
    pub skip_verify: bool,
}

impl Options {
    /// What AWS would refuse in the middle of a deployment.
    ///
    /// # Errors
    /// A value outside of AWS's bounds.
    pub fn check(&self) -> Result<(), Error> {
        let mut findings = Vec::new();
        let mut outside = |what: String, allowed: &str| {
            findings.push(Finding::error(what, format!("AWS allows {allowed}"), "correct the flag"));
        };
        if let Some(timeout) = self.timeout.filter(|timeout| !(1..=900).contains(timeout)) {
            outside(format!("`--timeout {timeout}`"), "1 to 900 seconds");
        }
        if let Some(memory) = self.memory.filter(|memory| !(128..=10_240).contains(memory)) {
            outside(format!("`--memory {memory}`"), "128 to 10240 megabytes");
        }
        if let Some(architecture) =
            self.architecture.as_deref().filter(|name| !["x86_64", "arm64"].contains(name))
        {
            outside(format!("`--architecture {architecture}`"), "x86_64 and arm64");
        }
        for name in self.environment.keys() {
            if let Err(why) = variable(name) {
                findings.push(Finding::error(
                    format!("`--env {name}`"),
                    why,
                    "choose another name, which the app reads",
                ));
            }
        }
        match findings.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::new(Exit::Usage, "the functions cannot be configured like this")
                    .findings(findings))
            }
        }
    }
}

/// Variables that Lambda sets itself, and that nobody else may set.
const RESERVED: [&str; 18] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// Whether functions can have a variable of this name.
///
/// # Errors
/// Why not.
pub fn variable(name: &str) -> Result<(), &'static str> {
    if RESERVED.contains(&name) {
        return Err("Lambda sets this variable itself and lets nobody else set it");
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
    if !first || name.len() < 2 || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("AWS allows names of at least two letters, digits and `_`, a letter first");
    }
    Ok(())
}

/// A function or file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Of a function: its name in the manifest. Of a file: its path below `static/`.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
}

/// What a bundle wants.
#[derive(Debug, Clone)]
pub struct Desired {
    pub(crate) app_id: String,
    pub(crate) version: String,
    pub(crate) about: About,
    functions: Vec<Function>,
    objects: Vec<Object>,
    manifest: Object,
    /// The manifest as it is written: in the shape of today, whatever shape it was in.
    pub(crate) manifest_bytes: Vec<u8>,
}

impl Desired {
    /// What a manifest with these archives and files wants.
    ///
    /// # Errors
    /// No section `aws_lambda`; names that AWS does not allow; two functions or files that would have one name.
    pub fn new(manifest: &Manifest, archives: &[Item], files: &[Item]) -> Result<Self, Error> {
        let (app_id, version) = (manifest.app_id.clone(), manifest.version.clone());
        let Some(section) = &manifest.aws_lambda else {
            return Err(Error::new(
                Exit::Refused,
                format!("the manifest of `{app_id}` has no section `aws_lambda`"),
            )
            .hint("an app that answers by HTTP is not deployed: `mainstay apps serve` runs it"));
        };
        let mut findings = Vec::new();
        let mut refuse =
            |what: String, cause: &str| findings.push(Finding::error(what, cause, "rename it in the bundle"));
        let mut functions: Vec<Function> = Vec::new();
        for function in &section.functions {
            let lambda = names::lambda(&app_id, &version, &function.name);
            let Some(archive) = archives.iter().find(|archive| archive.name == function.name) else {
                refuse(
                    format!("function `{}` has no archive in the bundle", function.name),
                    "its zip is missing",
                );
                continue;
            };
            if !lambda.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_') {
                refuse(
                    format!("function `{}` would be called `{lambda}`", function.name),
                    "Lambda allows letters, digits, `-` and `_`",
                );
            }
            if let Some(other) = functions.iter().find(|other| other.lambda == lambda) {
                refuse(
                    format!(
                        "functions `{}` and `{}` would both be called `{lambda}`",
                        other.name, function.name
                    ),
                    "Lambda has one name for both",
                );
            }
            functions.push(Function {
                name: function.name.clone(),
                path: function.path.clone(),
                lambda,
                sha256: archive.sha256.clone(),
                size: archive.size,
                handler: function.handler.clone(),
                runtime: function.runtime.clone(),
                ..Function::default()
            });
        }
        let mut objects: BTreeMap<String, (&str, Object)> = BTreeMap::new();
        for file in files {
            let key = names::static_key(&app_id, &version, &file.name);
            if key.len() > names::KEY_MAX {
                refuse(
                    format!("file `{}` would have a key of {} bytes", file.name, key.len()),
                    "S3 allows 1024",
                );
            }
            let object = Object {
                key: key.clone(),
                sha256: file.sha256.clone(),
                size: file.size,
                etag: String::new(),
            };
            if let Some((other, _)) = objects.insert(key.clone(), (&file.name, object)) {
                refuse(
                    format!("files `{other}` and `{}` would both have the key `{key}`", file.name),
                    "S3 has one key for both",
                );
            }
        }
        for function in &section.functions {
            if let Some((cause, fix)) = apps::runtimes::refused(&function.runtime) {
                let what = format!("function `{}` uses the runtime `{}`", function.name, function.runtime);
                findings.push(Finding::error(what, cause, fix));
            }
        }
        if !findings.is_empty() {
            let what = format!(
                "`{app_id}` cannot be deployed to AWS; {} wrong",
                finding::counted(findings.len(), "thing is", "things are")
            );
            return Err(Error::new(Exit::Refused, what).findings(findings));
        }
        let about = About::of(manifest);
        let manifest_bytes = serde_json::to_vec(manifest)
            .map_err(|error| Error::new(Exit::Bug, format!("the manifest cannot be written: {error}")))?;
        let manifest = Object {
            key: names::manifest_key(&app_id, &version),
            sha256: crate::digest::sha256(&manifest_bytes),
            size: manifest_bytes.len() as u64,
            etag: String::new(),
        };
        let objects = objects.into_values().map(|(_, object)| object).collect();
        Ok(Self { app_id, version, about, functions, objects, manifest, manifest_bytes })
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    pub(crate) fn manifest_sha256(&self) -> &str {
        &self.manifest.sha256
    }

    /// SHA-256 of everything that it has.
    pub(crate) fn digests(&self) -> BTreeSet<String> {
        let functions = self.functions.iter().map(|function| &function.sha256);
        let objects = self.objects.iter().chain([&self.manifest]).map(|object| &object.sha256);
        functions.chain(objects).cloned().collect()
    }

    /// The release that results, and the environment of each function by its name on Lambda. What no flag says stays as it is:
    /// of the function itself, or of the same function of the version that was deployed last.
    pub(crate) fn settle(&self, observed: &Observed, options: &Options) -> (Release, Environments) {
        let mut environments = Environments::new();
        let settle = |function: &Function| {
            let like = observed.live.get(&function.lambda).or_else(|| observed.predecessor(&function.name));
            environments.insert(function.lambda.clone(), environment(like, options));
            let known = |pick: fn(&Live) -> i32| like.map(pick);
            Function {
                // A function with AWS's own default was never configured.
                timeout: options
                    .timeout
                    .or(known(|live| live.timeout).filter(|s| *s > AWS_TIMEOUT))
                    .unwrap_or(TIMEOUT),
                memory: options.memory.or(known(|live| live.memory).filter(|mb| *mb > 0)).unwrap_or(MEMORY),
                architecture: options
                    .architecture
                    .clone()
                    .or_else(|| like.map(|live| live.architecture.clone()).filter(|name| !name.is_empty()))
                    .unwrap_or_else(|| "x86_64".to_owned()),
                role: options
                    .role
                    .clone()
                    .or_else(|| like.map(|live| live.role.clone()).filter(|name| !name.is_empty()))
                    .unwrap_or_else(|| ROLE.to_owned()),
                ..function.clone()
            }
        };
        let functions = self.functions.iter().map(settle).collect();
        let recorded = observed.record.as_ref().and_then(|record| record.versions.get(&self.version));
        let policy = options.policy.clone().or_else(|| recorded.map(|release| release.policy.clone()));
        let release = Release {
            deployed_at: String::new(),
            functions,
            objects: self.objects.clone(),
            manifest: self.manifest.clone(),
            policy: policy.filter(|name| !name.is_empty()).unwrap_or_else(|| POLICY.to_owned()),
            about: Some(self.about.clone()),
        };
        (release, environments)
    }
}

/// Variables of functions, by the function's name on Lambda.
pub(crate) type Environments = BTreeMap<String, BTreeMap<String, SecretString>>;

fn environment(like: Option<&Live>, options: &Options) -> BTreeMap<String, SecretString> {
    let mut variables = like.map(|live| live.environment.clone()).unwrap_or_default();
    variables.extend(options.environment.clone());
    variables.retain(|name, _| !options.unset.contains(name));
    variables
}

#[cfg(test)]
mod tests {
    use apps::AwsLambda;

    use super::*;

    fn item(name: &str) -> Item {
        Item { name: name.into(), sha256: "aa".into(), size: 1 }
    }

    fn manifest(functions: &[&str]) -> Manifest {
        let function = |name: &&str| apps::Function {
            path: "/".into(),
            name: (*name).to_owned(),
            handler: "h".into(),
            runtime: "provided.al2023".into(),
        };
        Manifest {
            app_id: "com.example.a".into(),
            version: "1.0.0".into(),
            aws_lambda: Some(AwsLambda { functions: functions.iter().map(function).collect() }),
            ..Manifest::default()
        }
    }

    #[test]
    fn two_things_with_one_name_are_refused_and_all_are_named() {
        let error = Desired::new(
            &manifest(&["f x", "f-x", "bad#name", "absent"]),
            &[item("f x"), item("f-x"), item("bad#name")],
            &[item("a b.txt"), item("a-b.txt")],
        )
        .unwrap_err();
        assert_eq!((error.exit, error.findings.len()), (Exit::Refused, 4), "{:?}", error.findings);
        assert!(Desired::new(&Manifest::default(), &[], &[]).is_err());
    }

    #[test]
    fn a_runtime_that_aws_refuses_is_refused_before_anything_is_changed() {
        for (runtime, fix) in [("go1.x", "provided.al2023"), ("nodejs14.x", "nodejs24.x"), ("cobol9", "mean")]
        {
            let mut manifest = manifest(&["f"]);
            manifest.aws_lambda.as_mut().unwrap().functions[0].runtime = runtime.into();
            let error = Desired::new(&manifest, &[item("f")], &[]).unwrap_err();
            assert_eq!((error.exit, error.findings.len()), (Exit::Refused, 1));
            assert!(format!("{}", error.findings[0]).contains(fix), "{}", error.findings[0]);
        }
    }

    #[test]
    fn what_no_flag_says_stays_and_a_new_function_gets_mattermosts_time() {
        let desired = Desired::new(&manifest(&["f", "g"]), &[item("f"), item("g")], &[]).unwrap();
        let variables = |pairs: &[(&str, &str)]| -> BTreeMap<String, SecretString> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
        };
        let live = Live {
            timeout: 60,
            memory: 512,
            environment: variables(&[("AA", "1"), ("BB", "2")]),
            ..Live::default()
        };
        let observed =
            Observed { live: [("com-example-a_1-0-0_f".to_owned(), live)].into(), ..Observed::default() };
        let options = Options {
            environment: variables(&[("CC", "3")]),
            unset: vec!["AA".into()],
            ..Options::default()
        };
        let (release, environments) = desired.settle(&observed, &options);
        assert_eq!((release.functions[0].timeout, release.functions[0].memory), (60, 512));
        assert_eq!((release.functions[1].timeout, release.functions[1].memory), (30, 128));
        assert_eq!(environments["com-example-a_1-0-0_f"].keys().collect::<Vec<_>>(), ["BB", "CC"]);
    }

    #[test]
    fn bounds_of_aws_are_known_beforehand() {
        let options = Options {
            timeout: Some(901),
            memory: Some(1),
            architecture: Some("mips".into()),
            environment: ["1A", "AWS_REGION"].map(|name| (name.to_owned(), SecretString::from("v"))).into(),
            ..Options::default()
        };
        assert_eq!(options.check().unwrap_err().findings.len(), 5);
        assert_eq!((variable("TOKEN"), variable("AWS_LAMBDA_EXEC_WRAPPER")), (Ok(()), Ok(())));
    }
}
