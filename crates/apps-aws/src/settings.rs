//! Where AWS is and who asks: each value with the place that it came from.

use std::collections::BTreeMap;
use std::time::Duration;

use apps::Error;
use finding::Exit;
use secrecy::SecretString;
use serde::Serialize;

/// What the command line says; it comes before every variable.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--region`
    pub region: Option<String>,
    /// `--bucket`
    pub bucket: Option<String>,
    /// `--profile`: credentials from a profile of AWS's own files.
    pub profile: Option<String>,
    /// `--endpoint-url`: another implementation of AWS's services.
    pub endpoint: Option<String>,
}

/// A value that was settled, and where it came from. A secret is never one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// `region`, `bucket`, `credentials`, `endpoint`.
    pub name: &'static str,
    /// The value; of credentials only the access key's id, where it is known.
    pub value: String,
    /// A flag, a variable, or `default`.
    pub origin: String,
}

/// Credentials that were said, not found by AWS's own chain.
#[derive(Debug, Clone)]
pub struct Keys {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    pub(crate) session: Option<SecretString>,
}

/// Where AWS is and who asks.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Such as `eu-central-1`; without it, the profile's.
    pub region: Option<String>,
    /// The bucket of all apps.
    pub bucket: String,
    /// Another address of AWS's services.
    pub endpoint: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) keys: Option<Keys>,
    /// How often a call is tried where AWS throttles it or fails.
    pub attempts: u32,
    /// How long one attempt may go without an answer.
    pub patience: Duration,
    /// Each value with its origin, for `--plan`.
    pub settled: Vec<Settled>,
}

/// The variables of a pair of keys, in the order in which they are looked for: of Mattermost's own tool now, of its earlier
/// versions, of the page "Deploying Apps", and of AWS.
const KEYS: [(&str, &str, &str); 4] = [
    ("MM_APPS_DEPLOY_AWS_ACCESS_KEY", "MM_APPS_DEPLOY_AWS_SECRET_KEY", "MM_APPS_DEPLOY_AWS_SESSION_TOKEN"),
    (
        "MM_APPS_PROVISION_AWS_ACCESS_KEY",
        "MM_APPS_PROVISION_AWS_SECRET_KEY",
        "MM_APPS_PROVISION_AWS_SESSION_TOKEN",
    ),
    ("APPS_PROVISION_AWS_ACCESS_KEY", "APPS_PROVISION_AWS_SECRET_KEY", "APPS_PROVISION_AWS_SESSION_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
];
const REGIONS: [&str; 3] = ["MM_APPS_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"];
const BUCKETS: [&str; 1] = ["MM_APPS_S3_BUCKET"];
const ENDPOINTS: [&str; 1] = ["AWS_ENDPOINT_URL"];
const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];

impl Settings {
    /// Reads the settings: a flag before a variable, and of the variables the first that is not empty.
    ///
    /// # Errors
    /// Half a pair of keys; a bucket's or region's name that AWS does not allow; an endpoint that is no URL.
    pub fn read(flags: &Flags, variables: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut settled = Vec::new();
        let mut settle = |name, flag: &Option<String>, from: &[&str], default: Option<&str>| {
            let (value, origin) = first(name, flag, from, default, variables)?;
            settled.push(Settled { name, value: value.clone(), origin });
            Some(value)
        };
        let region = settle("region", &flags.region, &REGIONS, None);
        let bucket = settle("bucket", &flags.bucket, &BUCKETS, Some(apps::names::BUCKET)).unwrap_or_default();
        let endpoint = settle("endpoint-url", &flags.endpoint, &ENDPOINTS, None);
        let (keys, profile) = credentials(flags, variables, &mut settled)?;
        check_region(region.as_deref())?;
        check_bucket(&bucket)?;
        if let Some(url) = &endpoint {
            check_endpoint(url)?;
        }
        let (attempts, patience) = (5, Duration::from_secs(60));
        Ok(Self { region, bucket, endpoint, profile, keys, attempts, patience, settled })
    }
}

/// A value and its origin.
fn first(
    name: &str,
    flag: &Option<String>,
    from: &[&str],
    default: Option<&str>,
    variables: &BTreeMap<String, String>,
) -> Option<(String, String)> {
    if let Some(value) = flag {
        return Some((value.clone(), format!("--{name}")));
    }
    let found = from.iter().find_map(|variable| Some((said(variables, variable)?, (*variable).to_owned())));
    found.or_else(|| Some((default?.to_owned(), "default".to_owned())))
}

/// A variable that is not empty.
fn said(variables: &BTreeMap<String, String>, name: &str) -> Option<String> {
    variables.get(name).filter(|value| !value.is_empty()).cloned()
}

/// Keys that were said, or the profile whose keys AWS's chain shall take.
fn credentials(
    flags: &Flags,
    variables: &BTreeMap<String, String>,
    settled: &mut Vec<Settled>,
) -> Result<(Option<Keys>, Option<String>), Error> {
    let mut settle =
        |value: String, origin: String| settled.push(Settled { name: "credentials", value, origin });
    if let Some(profile) = &flags.profile {
        settle(format!("profile {profile}"), "--profile".to_owned());
        return Ok((None, Some(profile.clone())));
    }
    for (id_name, secret_name, session_name) in KEYS {
        let (id, secret) = (said(variables, id_name), said(variables, secret_name));
        let (missing, present) = match (&id, &secret) {
            (Some(_), Some(_)) => ("", ""),
            (None, None) => continue,
            (Some(_), None) => (secret_name, id_name),
            (None, Some(_)) => (id_name, secret_name),
        };
        if !missing.is_empty() {
            return Err(Error::new(Exit::Settings, format!("`{present}` is set, but `{missing}` is not"))
                .hint(format!("set `{missing}`, or unset `{present}`")));
        }
        let (id, secret) = (id.unwrap_or_default(), SecretString::from(secret.unwrap_or_default()));
        settle(format!("access key {id}"), id_name.to_owned());
        return Ok((Some(Keys { id, secret, session: said(variables, session_name).map(Into::into) }), None));
    }
    match first("profile", &None, &PROFILES, None, variables) {
        Some((profile, origin)) => {
            settle(format!("profile {profile}"), origin);
            Ok((None, Some(profile)))
        }
        None => {
            settle(
                "the first that AWS's chain finds".to_owned(),
                "profile files, web identity, container, instance".to_owned(),
            );
            Ok((None, None))
        }
    }
}

/// An endpoint stands in plans, records and messages: a secret in it would, too.
fn check_endpoint(text: &str) -> Result<(), Error> {
    let wrong = |what: String| {
        Err(Error::new(Exit::Settings, what).hint("write it as http://HOST:PORT or https://HOST"))
    };
    // What is before an `@` may be a password, also where the rest is no URL.
    if text.contains('@') {
        return wrong(
            "the endpoint has a user name or password in it, which no endpoint of AWS has".to_owned(),
        );
    }
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            match (url.query(), url.fragment()) {
                (None, None) => Ok(()),
                _ => wrong("the endpoint has a query or a fragment, which no endpoint of AWS has".to_owned()),
            }
        }
        _ => wrong(format!("the endpoint `{text}` is not a URL")),
    }
}

fn check_region(region: Option<&str>) -> Result<(), Error> {
    let is_region = |name: &str| {
        name.contains('-') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    match region {
        Some(name) if !is_region(name) => {
            Err(Error::new(Exit::Settings, format!("`{name}` is not a region of AWS"))
                .hint("a region is named like `eu-central-1` or `us-gov-west-1`"))
        }
        _ => Ok(()),
    }
}

fn check_bucket(name: &str) -> Result<(), Error> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
    if (3..=63).contains(&name.len()) && inner && edge(name.chars().next()) && edge(name.chars().last()) {
        return Ok(());
    }
    Err(Error::new(Exit::Settings, format!("`{name}` is not a name that a bucket can have"))
        .hint("3 to 63 of: lower-case letters, digits, `-` and `.`; a letter or digit first and last"))
}

/// The partition that a region is in: the second part of every ARN.
pub fn partition(region: &str) -> &'static str {
    const PARTITIONS: [(&str, &str); 8] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
        ("", "aws"),
    ];
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn origins(flags: &Flags, pairs: &[(&str, &str)]) -> Vec<(&'static str, String, String)> {
        let read = Settings::read(flags, &variables(pairs)).unwrap();
        read.settled.into_iter().map(|settled| (settled.name, settled.value, settled.origin)).collect()
    }

    #[test]
    fn the_first_generation_of_names_that_is_set_wins_and_is_named() {
        let all: Vec<(&str, &str)> =
            KEYS.iter().flat_map(|(id, secret, _)| [(*id, *id), (*secret, "secret")]).collect();
        for (index, (id, _, _)) in KEYS.iter().enumerate() {
            let seen = origins(&Flags::default(), &all[index * 2..]);
            assert!(
                seen.contains(&("credentials", format!("access key {id}"), (*id).to_owned())),
                "{seen:?}"
            );
            assert!(!format!("{seen:?}").contains("secret\""));
        }
        let seen = origins(
            &Flags { profile: Some("p".into()), region: Some("us-west-2".into()), ..Flags::default() },
            &all,
        );
        assert_eq!(seen[0], ("region", "us-west-2".into(), "--region".into()));
        assert_eq!(seen[1], ("bucket", "mattermost-apps-bucket".into(), "default".into()));
        assert_eq!(seen[2], ("credentials", "profile p".into(), "--profile".into()));
        let seen = origins(
            &Flags::default(),
            &[("AWS_REGION", "eu-west-1"), ("MM_APPS_AWS_REGION", ""), ("MM_APPS_S3_BUCKET", "abc")],
        );
        assert_eq!(seen[0], ("region", "eu-west-1".into(), "AWS_REGION".into()));
        assert_eq!(seen[1], ("bucket", "abc".into(), "MM_APPS_S3_BUCKET".into()));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (pairs, what) in [
            (&[("APPS_PROVISION_AWS_ACCESS_KEY", "A")][..], "`APPS_PROVISION_AWS_SECRET_KEY` is not"),
            (&[("AWS_SECRET_ACCESS_KEY", "hidden")], "`AWS_ACCESS_KEY_ID` is not"),
            (&[("MM_APPS_S3_BUCKET", "My_Bucket")], "`My_Bucket` is not a name"),
            (&[("AWS_REGION", "Frankfurt")], "`Frankfurt` is not a region"),
            (&[("AWS_ENDPOINT_URL", "localhost:4566")], "`localhost:4566` is not a URL"),
            (&[("AWS_ENDPOINT_URL", "http://")], "`http://` is not a URL"),
            (&[("AWS_ENDPOINT_URL", "http://me:hidden@localhost:4566")], "has a user name or password in it"),
            (&[("AWS_ENDPOINT_URL", "me:hidden@localhost:4566")], "has a user name or password in it"),
            (&[("AWS_ENDPOINT_URL", "http://localhost:4566/?token=hidden")], "has a query"),
        ] {
            let error = Settings::read(&Flags::default(), &variables(pairs)).unwrap_err();
            assert!(error.what.contains(what), "{}", error.what);
            assert!(error.exit == Exit::Settings && !format!("{error:?}").contains("hidden"));
        }
    }

    #[test]
    fn the_partition_follows_from_the_region() {
        for (region, expected) in [
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("eu-central-1", "aws"),
            ("us-iso-east-1", "aws-iso"),
        ] {
            assert_eq!(partition(region), expected);
        }
    }
}
