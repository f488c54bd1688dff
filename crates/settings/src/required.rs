//! What a server requires of its settings: of one value beyond its shape, and of several together. The same rules hold for what is
//! declared and for what the System Console wrote into config.json.

use serde_json::Value;
use version::Series;

use crate::capability::{self, Effect};
use crate::kind::Kind;
use crate::known::{self, Shape};
use crate::row::Row;
use crate::server::Server;

/// A section and a key in it.
pub(crate) type At = (&'static str, &'static str);

/// Before every release that the table knows.
const ALWAYS: Series = Series::new(0, 0);

/// The first release whose collapsed threads are on by default (upgrade notes of 7.0).
const WITH_THREADS: Series = Series::new(7, 0);

const THREADS: &[&str] = &["disabled", "default_off", "default_on", "always_on"];
const DISPLAYS: &[&str] = &["username", "nickname_full_name", "full_name"];
const PUSHED: &[&str] = &["full", "generic", "generic_no_channel", "id_loaded"];

/// The shortest address that a server must take: Mainstay's own requests stay below it, with the path of a site URL in front.
const URL_LENGTH: i64 = 512;

/// The smallest limit on the body of a request: those of the acceptance test stay below it.
const BODY: i64 = 1024;

/// What the server requires of keys that have no row (server source v11.6, model/config.go, checked when it starts), and since
/// which release; the last entry that applies counts. A server whose limits refuse the requests of `up` could never be verified.
const LIMITS: [(At, Kind, Series); 22] = [
    (("ServiceSettings", "MaximumURLLength"), Kind::Int(URL_LENGTH, i64::MAX), ALWAYS),
    (("ServiceSettings", "MaximumPayloadSizeBytes"), Kind::Int(BODY, i64::MAX), ALWAYS),
    (("PasswordSettings", "MinimumLength"), Kind::Int(5, 72), ALWAYS),
    (("EmailSettings", "EmailBatchingInterval"), Kind::Int(30, i64::MAX), ALWAYS),
    (("EmailSettings", "EmailBatchingBufferSize"), Kind::Int(1, i64::MAX), ALWAYS),
    (("RateLimitSettings", "MaxBurst"), Kind::Int(1, i64::MAX), ALWAYS),
    (("SqlSettings", "MaxIdleConns"), Kind::Int(1, i64::MAX), ALWAYS),
    (("SqlSettings", "MaxOpenConns"), Kind::Int(1, i64::MAX), ALWAYS),
    (("ServiceSettings", "ReadTimeout"), Kind::Int(1, i64::MAX), ALWAYS),
    (("ServiceSettings", "WriteTimeout"), Kind::Int(1, i64::MAX), ALWAYS),
    (("ServiceSettings", "ConnectionSecurity"), Kind::Word(&["", "TLS"]), ALWAYS),
    (("SqlSettings", "DriverName"), Kind::Word(&["postgres", "mysql", "sqlite"]), ALWAYS),
    (("ServiceSettings", "CollapsedThreads"), Kind::Word(THREADS), ALWAYS),
    (("TeamSettings", "TeammateNameDisplay"), Kind::Word(DISPLAYS), ALWAYS),
    (("TeamSettings", "RestrictDirectMessage"), Kind::Word(&["any", "team"]), ALWAYS),
    (("EmailSettings", "EmailNotificationContentsType"), Kind::Word(&["full", "generic"]), ALWAYS),
    (("EmailSettings", "PushNotificationContents"), Kind::Word(PUSHED), ALWAYS),
    (("LdapSettings", "ConnectionSecurity"), Kind::Word(&["", "TLS", "STARTTLS"]), ALWAYS),
    (("ImageProxySettings", "ImageProxyType"), Kind::Word(&["local", "atmos/camo"]), ALWAYS),
    (("CacheSettings", "CacheType"), Kind::Word(&["lru", "redis"]), ALWAYS),
    (("FileSettings", "DriverName"), Kind::Word(&["local", "amazons3"]), ALWAYS),
    (("FileSettings", "DriverName"), Kind::Word(&["local", "amazons3", "azureblob"]), Series::new(11, 9)),
];

/// What a text of config.json that has no row leads to, by the end of its key; the first that fits counts.
const FORMS: [(&str, Kind); 28] = [
    ("AmazonS3Endpoint", Kind::Endpoint),
    ("AzureEndpoint", Kind::Endpoint),
    ("RedisAddress", Kind::Endpoint),
    ("Endpoint", Kind::Url),
    // Of the protocol `ws`, or another program's, which takes what its own manual says.
    ("WebsocketURL", Kind::Link),
    ("AssertionConsumerServiceURL", Kind::Link),
    ("IdpURL", Kind::Link),
    ("IdpDescriptorURL", Kind::Link),
    ("BucketURL", Kind::Link),
    ("URL", Kind::Url),
    ("Link", Kind::Link),
    ("LdapServer", Kind::Host),
    ("SMTPServerName", Kind::Host),
    ("OverrideHostname", Kind::Host),
    ("ReplyToAddress", Kind::Email),
    ("EmailAddress", Kind::Email),
    ("ReportAProblemMail", Kind::Email),
    ("ToDomains", Kind::Domains),
    ("S3Bucket", Kind::Bucket),
    ("AzureContainer", Kind::Bucket),
    ("Directory", Kind::Path),
    ("Dir", Kind::Path),
    ("File", Kind::Path),
    ("FileName", Kind::Path),
    ("Location", Kind::Path),
    ("PathPrefix", Kind::Path),
    ("Address", Kind::Text),
    ("Region", Kind::Text),
];

/// What a value may be there, where that is more than its shape.
pub(crate) fn kind(section: &str, key: &str, row: Option<&Row>, version: Series) -> Option<Kind> {
    let of_row = row.and_then(|row| row.place(version)?.kind(row.kind));
    of_row.or_else(|| limit(section, key, version)).or_else(|| form(section, key, version))
}

fn limit(section: &str, key: &str, version: Series) -> Option<Kind> {
    let holds = |(at, _, since): &&(At, Kind, Series)| *at == (section, key) && version >= *since;
    LIMITS.iter().rfind(holds).map(|(_, kind, _)| *kind)
}

fn form(section: &str, key: &str, version: Series) -> Option<Kind> {
    let known = known::find(section, key, version)?;
    // A text for people has lines, and a password has what it has.
    if known.shape != Shape::Text || known.secret || key.ends_with("Text") {
        return None;
    }
    let form = FORMS.iter().find(|(end, _)| key.ends_with(end)).map(|(_, kind)| *kind);
    Some(form.unwrap_or(Kind::Line))
}

/// What is wrong with a value that somebody else wrote into config.json, and what is allowed, where the server would not start with it
/// or could not be verified. Anything else is the System Console's to decide.
pub(crate) fn unusable(
    section: &str,
    key: &str,
    row: Option<&Row>,
    value: &Value,
    version: Series,
) -> Option<(String, String)> {
    let kind = kind(section, key, row, version)?;
    let problem = match (kind, value) {
        // The server compares letter by letter.
        (Kind::Word(words), Value::String(text)) => {
            let is_synonym = || row.is_some_and(|row| row.synonyms.iter().any(|(word, _)| word == text));
            let is_word = text.is_empty() || words.contains(&text.as_str()) || is_synonym();
            (!is_word).then(|| format!("is `{text}`, which is not one of its words"))?
        }
        (Kind::Int(..) | Kind::Name(_) | Kind::SiteUrl | Kind::Salt, _) => kind.problem_of(value)?,
        _ => return None,
    };
    Some((problem, kind.allowed()))
}

/// A value, and whether somebody gave it.
pub(crate) struct Said {
    pub(crate) value: Value,
    pub(crate) given: bool,
}

/// Looks a value up.
pub(crate) type Look<'a> = &'a dyn Fn(&str, &str) -> Option<Said>;

/// Switches that must have this value, and since which release (upgrade notes of 11.0).
const MUSTS: [(At, bool, Series); 2] = [
    (("TeamSettings", "ExperimentalViewArchivedChannels"), true, Series::new(11, 0)),
    (("ExperimentalSettings", "ClientSideCertEnable"), false, Series::new(11, 0)),
];

/// Switches that the server does not start with where it is told no site URL.
const NEED_A_SITE_URL: [At; 2] =
    [("EmailSettings", "EnableEmailBatching"), ("ServiceSettings", "AllowCookiesForSubdomains")];

const BY_MAIL: At = ("EmailSettings", "EnableSignInWithEmail");
const BY_NAME: At = ("EmailSettings", "EnableSignInWithUsername");

/// Sections of other ways to sign in.
const OTHER_WAYS: [&str; 6] = [
    "GitLabSettings",
    "GoogleSettings",
    "Office365Settings",
    "OpenIdSettings",
    "LdapSettings",
    "SamlSettings",
];

/// What the server does not start with (server source v11.6, model/config.go), or nobody could sign in with: the key, what is wrong,
/// what to do.
pub(crate) fn together(server: Server, look: Look<'_>) -> Vec<(At, String, &'static str)> {
    let is = |(section, key): At, flag: bool| look(section, key).is_some_and(|said| said.value == flag);
    let given = |(section, key): At| look(section, key).is_some_and(|said| said.given);
    let is_on = |at: At| is(at, true) && given(at);
    let text = |section: &str, key: &str| {
        let said = look(section, key)?;
        said.value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut found = Vec::new();
    for (at, must, since) in MUSTS {
        if server.version >= since && is(at, !must) {
            let problem = format!("is {}, and the server does not start on that since {since}", !must);
            found.push((at, problem, "leave it out"));
        }
    }
    for at in NEED_A_SITE_URL.into_iter().filter(|at| is_on(*at)) {
        if text("ServiceSettings", "SiteURL").is_none() {
            let problem = "is true without MATTERMOST_HOST or a site URL: the server refuses to start";
            found.push((
                at,
                problem.to_owned(),
                "give MATTERMOST_HOST or a site URL as well, or leave it out",
            ));
        }
    }
    let batching = ("EmailSettings", "EnableEmailBatching");
    if is_on(batching) && is_on(("ClusterSettings", "Enable")) {
        let problem = "is true in a cluster, and the server does not start on that";
        found.push((batching, problem.to_owned(), "leave one of the two out"));
    }
    let follow = ("ServiceSettings", "ThreadAutoFollow");
    let threads = match text("ServiceSettings", "CollapsedThreads") {
        Some(word) => word != "disabled",
        None => server.version >= WITH_THREADS,
    };
    if is(follow, false) && threads {
        let problem =
            "is false while ServiceSettings.CollapsedThreads is on, and the server does not start on that";
        found.push((follow, problem.to_owned(), "leave it out, or set CollapsedThreads to \"disabled\""));
    }
    let is_other_way = |section: &&'static str| {
        let effect = || capability::effect(server, section, "Enable", &true.into());
        is((section, "Enable"), true) && effect() == Effect::Followed
    };
    let no_way = is(BY_MAIL, false) && is(BY_NAME, false) && !OTHER_WAYS.iter().any(is_other_way);
    if let Some(off) = [BY_MAIL, BY_NAME].into_iter().find(|at| given(*at)).filter(|_| no_way) {
        let problem = "is false, and no other way to sign in is on: no one could";
        found.push((
            off,
            problem.to_owned(),
            "turn one on: MATTERMOST_USERNAME_SIGNIN, MATTERMOST_EMAIL_SIGNIN, or single sign-on of an edition that has it",
        ));
    }
    let full = look("TeamSettings", "MaxUsersPerTeam").is_some_and(|said| said.value == 1);
    let direct = ("TeamSettings", "RestrictDirectMessage");
    if full && text(direct.0, direct.1).as_deref() == Some("team") {
        let problem = "is \"team\" while a team has room for one person (TeamSettings.MaxUsersPerTeam is 1): no two people could write to each other";
        found.push((direct, problem.to_owned(), "set it to \"any\", or let more people into a team"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const V11_6: Series = Series::new(11, 6);

    #[test]
    fn what_leads_somewhere_is_known_by_its_key() {
        for (section, key, kind) in [
            ("FileSettings", "AmazonS3Bucket", Some(Kind::Bucket)),
            ("FileSettings", "ExportAmazonS3Endpoint", Some(Kind::Endpoint)),
            ("GoogleSettings", "TokenEndpoint", Some(Kind::Url)),
            ("LdapSettings", "LdapServer", Some(Kind::Host)),
            ("LdapSettings", "UserFilter", Some(Kind::Line)),
            ("LdapSettings", "BindPassword", None),
            ("EmailSettings", "ReplyToAddress", Some(Kind::Email)),
            ("GuestAccountsSettings", "RestrictCreationToDomains", Some(Kind::Domains)),
            ("LogSettings", "FileLocation", Some(Kind::Path)),
            ("SamlSettings", "IdpCertificateFile", Some(Kind::Path)),
            ("SupportSettings", "HelpLink", Some(Kind::Link)),
            ("TeamSettings", "CustomBrandText", None),
            ("ServiceSettings", "EnableBotAccountCreation", None),
            ("ServiceSettings", "MaximumURLLength", Some(Kind::Int(URL_LENGTH, i64::MAX))),
        ] {
            assert_eq!(super::kind(section, key, None, V11_6), kind, "{section}.{key}");
        }
    }

    /// A rule that refuses what a release ships would refuse every deployment.
    #[test]
    fn every_default_of_every_release_is_allowed() {
        for version in [Series::new(5, 37), Series::new(7, 8), Series::new(10, 11), V11_6] {
            for known in known::of(version) {
                let Some(default) = known::default(known.section, known.key, version) else { continue };
                let kind = super::kind(known.section, known.key, None, version);
                let problem = kind.and_then(|kind| kind.problem_of(&default));
                assert_eq!(problem, None, "{} of {version}", known.path());
            }
            let look = |section: &str, key: &str| {
                Some(Said { value: known::default(section, key, version)?, given: true })
            };
            let found = together(Server::from(version), &look);
            assert!(found.is_empty(), "{version}: {found:?}");
        }
    }
}
