//! Which calls bring a version of an app from what is there to what is wanted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use apps::Error;
use finding::Exit;
use secrecy::ExposeSecret as _;

use crate::call::{Call, Changes, Stage};
use crate::desired::Environments;
use crate::observed::{Live, Observed};
use crate::record::{Function, Object, Record, Release, all_objects};

/// What a version shall be, and which bytes the bundle has.
pub(crate) struct Wanted<'a> {
    pub(crate) version: &'a str,
    /// Nothing: the version is removed.
    pub(crate) release: Option<&'a Release>,
    pub(crate) environments: &'a Environments,
    /// SHA-256 of everything that the bundle can give.
    pub(crate) bundle: &'a BTreeSet<String>,
}

/// The calls before the version is verified, and those after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) before: Vec<Stage>,
    pub(crate) after: Vec<Stage>,
}

impl Plan {
    pub(crate) fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.before.iter().chain(&self.after)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stages().next().is_none()
    }
}

/// The plan. `kept` are the SHA-256 of the bytes that are kept; without them all that is recorded counts as kept.
///
/// # Errors
/// Bytes are needed that neither the bundle nor the bucket has.
pub(crate) fn plan(
    record: &Record,
    observed: &Observed,
    kept: Option<&BTreeSet<String>>,
    wanted: &Wanted<'_>,
) -> Result<Plan, Error> {
    let owned = record.owned(wanted.version);
    let is_kept = |sha256: &str| kept.is_none_or(|kept| kept.contains(sha256));
    let Some(release) = wanted.release else { return Ok(removal(&owned, observed)) };

    let (mut keep, mut files, mut manifest) = (Vec::new(), Vec::new(), Vec::new());
    let is_there = |object: &Object| {
        let listed = observed.etag(&object.key);
        owned.iter().flat_map(|release| all_objects(release)).any(|known| {
            known.key == object.key
                && known.sha256 == object.sha256
                && listed.is_some_and(|etag| *etag == known.etag)
        })
    };
    for object in all_objects(release).filter(|object| !is_there(object)) {
        let is_manifest = object.key == release.manifest.key;
        let call = match () {
            () if wanted.bundle.contains(&object.sha256) => Call::Write(object.clone()),
            () if is_kept(&object.sha256) => Call::Restore(object.clone()),
            () => return Err(lost(&object.key)),
        };
        if is_manifest { manifest.push(call) } else { files.push(call) }
    }
    // What is replaced or removed is kept, if it stands there still: a run that was killed may have replaced it.
    if let Some(was) = record.versions.get(wanted.version) {
        for object in all_objects(was) {
            let stays = all_objects(release).any(|new| new.key == object.key && new.sha256 == object.sha256);
            let stands = observed.etag(&object.key).is_some_and(|etag| *etag == object.etag);
            if !stays && stands && kept.is_some_and(|kept| !kept.contains(&object.sha256)) {
                keep.push(Call::Keep(object.clone()));
            }
        }
    }
    let mut functions = Vec::new();
    let mut stored = BTreeSet::new();
    for function in &release.functions {
        let live = observed.live.get(&function.lambda);
        let environment = wanted.environments.get(&function.lambda);
        let change = changes(function, live, environment);
        let needs_code = live.is_none() || change.code;
        if !is_kept(&function.sha256) && stored.insert(&function.sha256) {
            match wanted.bundle.contains(&function.sha256) {
                true => keep.push(Call::StoreCode {
                    function: function.lambda.clone(),
                    sha256: function.sha256.clone(),
                    size: function.size,
                }),
                false if needs_code => return Err(lost(&function.lambda)),
                false => {}
            }
        }
        match live {
            None => functions.push(Call::Create(function.clone())),
            Some(_) if change.any() => functions.push(Call::Update(function.clone(), change)),
            Some(_) => {}
        }
    }
    let gone = removed_functions(&owned, Some(release));
    let policy = policy_call(&release.policy, observed, &names(release), &gone);
    let stages = [
        ("keep", keep),
        ("files", files),
        ("functions", functions),
        ("policy", policy),
        ("manifest", manifest),
    ];
    let delete =
        gone.into_iter().filter(|name| observed.live.contains_key(name)).map(Call::DeleteFunction).collect();
    let keys = removed_objects(&owned, Some(release), observed);
    let after = [("functions that are gone", delete), ("files that are gone", delete_objects(&keys))];
    Ok(Plan { before: filled(stages), after: filled(after) })
}

/// A version that goes: first it can no longer be found, then no longer be called, then it is removed.
fn removal(owned: &[&Release], observed: &Observed) -> Plan {
    let functions = removed_functions(owned, None);
    let manifests: BTreeSet<String> = owned.iter().map(|release| release.manifest.key.clone()).collect();
    let manifests: Vec<String> = manifests.into_iter().filter(|key| observed.etag(key).is_some()).collect();
    let name = owned.first().map(|release| release.policy.clone()).unwrap_or_default();
    let policy = policy_call(&name, observed, &BTreeSet::new(), &functions);
    let delete = functions
        .into_iter()
        .filter(|name| observed.live.contains_key(name))
        .map(Call::DeleteFunction)
        .collect();
    let keys = removed_objects(owned, None, observed);
    Plan {
        before: filled([
            ("manifest", delete_objects(&manifests)),
            ("policy", policy),
            ("functions", delete),
            ("files", delete_objects(&keys)),
        ]),
        after: Vec::new(),
    }
}

/// What of a function differs.
pub(crate) fn changes(
    function: &Function,
    live: Option<&Live>,
    environment: Option<&BTreeMap<String, secrecy::SecretString>>,
) -> Changes {
    let Some(live) = live else { return Changes::default() };
    let same_environment = environment.is_none_or(|wanted| {
        wanted.len() == live.environment.len()
            && wanted.iter().all(|(name, value)| {
                live.environment.get(name).is_some_and(|now| now.expose_secret() == value.expose_secret())
            })
    });
    let same = function.handler == live.handler
        && function.runtime == live.runtime
        && function.timeout == live.timeout
        && function.memory == live.memory
        && function.role == live.role
        && same_environment;
    Changes {
        code: function.sha256 != live.sha256 || function.architecture != live.architecture,
        configuration: !same,
        adopt: live.adopt,
    }
}

fn policy_call(
    name: &str,
    observed: &Observed,
    add: &BTreeSet<String>,
    gone: &BTreeSet<String>,
) -> Vec<Call> {
    let add: Vec<String> = add.iter().filter(|name| !observed.may_call(name)).cloned().collect();
    let remove: Vec<String> = gone.iter().filter(|name| observed.may_call(name)).cloned().collect();
    if add.is_empty() && remove.is_empty() {
        return Vec::new();
    }
    vec![Call::Policy { name: name.to_owned(), add, remove }]
}

pub(crate) fn names(release: &Release) -> BTreeSet<String> {
    release.functions.iter().map(|function| function.lambda.clone()).collect()
}

fn removed_functions(owned: &[&Release], stays: Option<&Release>) -> BTreeSet<String> {
    let mut gone: BTreeSet<String> = owned.iter().flat_map(|release| names(release)).collect();
    if let Some(stays) = stays {
        gone.retain(|name| !names(stays).contains(name));
    }
    gone
}

fn removed_objects(owned: &[&Release], stays: Option<&Release>, observed: &Observed) -> Vec<String> {
    let stays: BTreeSet<&String> =
        stays.into_iter().flat_map(all_objects).map(|object| &object.key).collect();
    let keys: BTreeSet<&String> =
        owned.iter().flat_map(|release| &release.objects).map(|object| &object.key).collect();
    keys.difference(&stays).filter(|key| observed.etag(key).is_some()).map(|key| (*key).clone()).collect()
}

/// At most as many keys in a call as S3 takes.
fn delete_objects(keys: &[String]) -> Vec<Call> {
    keys.chunks(1_000).map(|keys| Call::DeleteObjects(keys.to_vec())).collect()
}

fn filled<const N: usize>(stages: [(&'static str, Vec<Call>); N]) -> Vec<Stage> {
    let stages = stages.into_iter().filter(|(_, calls)| !calls.is_empty());
    stages.map(|(title, calls)| Stage { title, calls }).collect()
}

fn lost(what: &str) -> Error {
    Error::new(Exit::NeedsYou, format!("the earlier content of `{what}` is no longer in the bucket"))
        .hint("deploy the bundle that has it: `mainstay apps deploy BUNDLE`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Running;

    fn object(key: &str, sha256: &str, etag: &str) -> Object {
        Object { key: key.into(), sha256: sha256.into(), size: 1, etag: etag.into() }
    }

    fn function(name: &str, sha256: &str) -> Function {
        Function {
            name: name.into(),
            lambda: format!("a_1_{name}"),
            sha256: sha256.into(),
            handler: "h".into(),
            runtime: "r".into(),
            timeout: 30,
            memory: 128,
            architecture: "x86_64".into(),
            role: "role".into(),
            ..Function::default()
        }
    }

    fn live(sha256: &str) -> Live {
        let function = function("f", sha256);
        Live {
            sha256: sha256.into(),
            handler: function.handler,
            runtime: function.runtime,
            timeout: 30,
            memory: 128,
            architecture: "x86_64".into(),
            role: "role".into(),
            ..Live::default()
        }
    }

    fn release(
        functions: &[(&str, &str)],
        objects: &[(&str, &str, &str)],
        manifest: (&str, &str),
    ) -> Release {
        Release {
            functions: functions.iter().map(|(name, sha256)| function(name, sha256)).collect(),
            objects: objects.iter().map(|(key, sha256, etag)| object(key, sha256, etag)).collect(),
            manifest: object("m", manifest.0, manifest.1),
            policy: "policy".into(),
            ..Release::default()
        }
    }

    fn titles(plan: &Plan) -> Vec<String> {
        plan.stages()
            .flat_map(|stage| stage.calls.iter().flat_map(Call::shown))
            .map(|shown| format!("{} {}", shown.action, shown.on))
            .collect()
    }

    fn planned(
        record: &Record,
        observed: &Observed,
        kept: &[&str],
        target: Option<&Release>,
        bundle: &[&str],
    ) -> Vec<String> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let wanted = Wanted {
            version: "1",
            release: target,
            environments: &Environments::new(),
            bundle: &set(bundle),
        };
        titles(&plan(record, observed, Some(&set(kept)), &wanted).unwrap())
    }

    fn deployed() -> (Record, Observed) {
        let now = release(&[("f", "c1"), ("g", "c2")], &[("x", "s1", "e1"), ("y", "s2", "e2")], ("m1", "em"));
        let record = Record { versions: [("1".to_owned(), now)].into(), ..Record::new("a") };
        let etags = [("x", "e1"), ("y", "e2"), ("m", "em")];
        let observed = Observed {
            live: [("a_1_f".to_owned(), live("c1")), ("a_1_g".to_owned(), live("c2"))].into(),
            etags: etags.map(|(key, etag)| (key.to_owned(), etag.to_owned())).into(),
            allowed: ["a_1_f", "a_1_g"].map(str::to_owned).into(),
            ..Observed::default()
        };
        (record, observed)
    }

    #[test]
    fn the_first_deployment_makes_everything_and_the_manifest_last() {
        let target = release(&[("f", "c1")], &[("x", "s1", "")], ("m1", ""));
        let calls = planned(&Record::new("a"), &Observed::default(), &[], Some(&target), &["c1", "s1", "m1"]);
        assert_eq!(
            calls,
            [
                "s3:PutObject the archive of a_1_f",
                "s3:PutObject x",
                "lambda:CreateFunction a_1_f",
                "s3:PutObject mainstay/policies/policy.json",
                "iam:CreatePolicyVersion policy",
                "s3:DeleteObject mainstay/policies/policy.json",
                "s3:PutObject m"
            ]
        );
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let (record, observed) = deployed();
        let target = release(&[("f", "c1"), ("g", "c2")], &[("x", "s1", ""), ("y", "s2", "")], ("m1", ""));
        assert!(
            planned(&record, &observed, &["c1", "c2"], Some(&target), &["c1", "c2", "s1", "s2", "m1"])
                .is_empty()
        );
    }

    #[test]
    fn only_what_changed_is_written_and_what_it_replaces_is_kept() {
        let (record, observed) = deployed();
        let target = release(&[("f", "c9")], &[("x", "s9", "")], ("m9", ""));
        let calls = planned(&record, &observed, &["c1", "c2"], Some(&target), &["c9", "s9", "m9"]);
        assert_eq!(
            calls,
            [
                "s3:CopyObject x",
                "s3:CopyObject y",
                "s3:CopyObject m",
                "s3:PutObject the archive of a_1_f",
                "s3:PutObject x",
                "lambda:UpdateFunctionCode a_1_f",
                "s3:PutObject mainstay/policies/policy.json",
                "iam:CreatePolicyVersion policy",
                "s3:DeleteObject mainstay/policies/policy.json",
                "s3:PutObject m",
                "lambda:DeleteFunction a_1_g",
                "s3:DeleteObject y"
            ]
        );
    }

    /// A run was killed after it had replaced `x` and made a function: the release before comes back, and nothing else is left.
    #[test]
    fn what_a_killed_run_left_goes_and_what_it_replaced_comes_back() {
        let (mut record, mut observed) = deployed();
        let was = record.versions["1"].clone();
        let target = release(&[("f", "c9"), ("new", "c8")], &[("x", "s9", ""), ("z", "s8", "")], ("m9", ""));
        record.running = Some(Running {
            operation: "deploy".into(),
            version: "1".into(),
            target: Some(target),
            leftovers: Vec::new(),
            holder: String::new(),
            who: String::new(),
            since: String::new(),
            until: 0,
        });
        observed.live.insert("a_1_new".into(), live("c8"));
        observed.live.insert("a_1_f".into(), live("c9"));
        observed.etags.insert("x".into(), "e9".into());
        observed.etags.insert("z".into(), "e8".into());
        let calls = planned(&record, &observed, &["c1", "c2", "s1", "c9", "c8"], Some(&was), &[]);
        assert_eq!(
            calls,
            [
                "s3:CopyObject x",
                "lambda:UpdateFunctionCode a_1_f",
                "lambda:DeleteFunction a_1_new",
                "s3:DeleteObject z"
            ]
        );
        let removal = planned(&record, &observed, &[], None, &[]);
        assert_eq!(
            removal,
            [
                "s3:DeleteObject m",
                "s3:PutObject mainstay/policies/policy.json",
                "iam:CreatePolicyVersion policy",
                "s3:DeleteObject mainstay/policies/policy.json",
                "lambda:DeleteFunction a_1_f",
                "lambda:DeleteFunction a_1_g",
                "lambda:DeleteFunction a_1_new",
                "s3:DeleteObject x",
                "s3:DeleteObject y",
                "s3:DeleteObject z"
            ]
        );
    }

    #[test]
    fn bytes_that_nobody_has_are_missed_before_anything_is_changed() {
        let (record, observed) = deployed();
        let target = release(&[("f", "gone")], &[], ("m1", "em"));
        let wanted = Wanted {
            version: "1",
            release: Some(&target),
            environments: &Environments::new(),
            bundle: &BTreeSet::new(),
        };
        let error = plan(&record, &observed, Some(&BTreeSet::new()), &wanted).unwrap_err();
        assert_eq!(error.exit, Exit::NeedsYou);
    }
}
