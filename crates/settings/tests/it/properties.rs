//! Whatever an environment says: it is rendered as it was meant, or refused; and no secret is shown.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use settings::{Defaults, Kind, Line, Present, Row, Server, Sources, Undeclared, table};
use version::Series;

/// Begins every secret here; it can be part of no message by chance.
const MARK: &str = "Zq7SeCrEtMaRk";

fn rows() -> Vec<&'static Row> {
    table::rows().collect()
}

/// Values of all sorts: right ones, hostile ones, words where numbers belong.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "true",
            "false",
            "0",
            "1",
            "10",
            "-5",
            "TLS",
            "mysql",
            "postgres",
            "chat.example.com"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "https://chat.example.com",
            "http://x:1/y",
            "a@example.com",
            "en,fr",
            "587"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "\"},{\"",
            "\\",
            "{{SMTP_PASS}}",
            "$HOME ${X} `id`",
            "a\nb\r\tc",
            "名前 ü"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,40}",
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

fn secret() -> impl Strategy<Value = String> {
    "[ -~]{0,40}".prop_map(|rest| format!("{MARK}{rest}"))
}

/// A value that suits the row.
fn suitable(row: &'static Row) -> BoxedStrategy<String> {
    let one_of = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        prop::sample::select(words).boxed()
    };
    match row.kind {
        Kind::Word(words) => one_of(words),
        Kind::Bool => one_of(&["true", "false", "1", "0"]),
        Kind::Int(least, most) => (least..=most).prop_map(|number| number.to_string()).boxed(),
        Kind::Port => (1..=65535_u16).prop_map(|port| port.to_string()).boxed(),
        Kind::Host => "[a-z]{1,8}(\\.[a-z]{2,8}){0,2}".boxed(),
        Kind::SiteUrl | Kind::Url => {
            "https?://[a-z]{1,8}\\.[a-z]{2,8}(:[1-9][0-9]{1,3})?(/[a-z]{0,5})?".boxed()
        }
        Kind::Sites => one_of(&["https://a.example.com/b", "http://a.example.com, https://b.example.com"]),
        Kind::Fingerprint => "[0-9A-F]{40}".boxed(),
        Kind::Repository => one_of(&["backups", "/mnt/backups", "s3://company-backups/chat"]),
        Kind::Rate => one_of(&["20MB/s", "500 kB/s"]),
        Kind::Windows => one_of(&["Sat 02:00-05:00", "daily 23:00-01:00"]),
        Kind::Days => one_of(&["2026-12-20..2027-01-06", "2027-04-02"]),
        Kind::Delay => one_of(&["0d", "2d"]),
        Kind::Source => one_of(&["https://mirror.example.com/feed.json", "/srv/feed.json"]),
        Kind::Networks => one_of(&["none", "10.0.0.0/8,192.0.2.7", "fd00::/8", "127.0.0.1 , ::1/128"]),
        Kind::Origins => one_of(&["*", "https://a.example.com", "http://a.example:8080 b.example"]),
        Kind::Email => "[a-z]{1,8}@[a-z]{1,8}\\.example".boxed(),
        Kind::Name(most) => {
            proptest::string::string_regex(&format!("[ -~]{{0,{most}}}")).expect("a pattern").boxed()
        }
        // Without what may be a placeholder or a quote.
        Kind::Text | Kind::Line | Kind::Address => "[ !#%()*+,./0-9:;=?@A-Z^_a-z|~-]{0,40}".boxed(),
        Kind::Link => one_of(&["https://a.example.com/b", "/help", "mailto:a@b.example"]),
        Kind::Endpoint => one_of(&["minio:9000", "s3.example.com", "https://a.example.com"]),
        Kind::Domains => one_of(&["a.example", "a.example, @b.example"]),
        Kind::Path => one_of(&["/srv/ca.pem", "./data/"]),
        Kind::Bucket => "[a-z]{3,12}".boxed(),
        Kind::Salt => "[ -~]{32,64}".boxed(),
        Kind::Anything => any::<String>().prop_map(|text| text.replace('\0', "")).boxed(),
    }
}

fn environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    let row = prop::sample::select(rows()).prop_flat_map(|row| {
        let value = match (row.secret, row.kind) {
            (true, Kind::Salt) => "[ -~]{32,64}".prop_map(|rest| format!("{MARK}{rest}")).boxed(),
            (true, _) => secret().boxed(),
            (false, _) => prop_oneof![12 => suitable(row), 1 => value()].boxed(),
        };
        (Just(row.name.to_owned()), value)
    });
    let server = prop::sample::select(vec![
        "MM_SERVICESETTINGS_SITEURL",
        "MM_TEAMSETTINGS_MAXUSERSPERTEAM",
        "MM_SERVICESETTINGS_TRUSTEDPROXYIPHEADER",
        "MM_PLUGINSETTINGS_PLUGINSTATES",
        "MM_BLEVESETTINGS_INDEXDIR",
        "MM_TEAMSETTINGS_NOSUCHKEY",
    ]);
    let server = (server.prop_map(str::to_owned), value());
    let server_secret = prop::sample::select(vec![
        "MM_LDAPSETTINGS_BINDPASSWORD",
        "MM_SQLSETTINGS_DATASOURCE",
        "MM_PLUGINSETTINGS_PLUGINS",
        "MM_FILESETTINGS_AMAZONS3SECRETACCESSKEY",
        "MATTERMOST_SECRT_KEY",
    ]);
    let server_secret = (server_secret.prop_map(str::to_owned), secret());
    let pair = prop_oneof![20 => row, 2 => server, 1 => server_secret];
    // Half of them begin complete, so that what is added is more often rendered than refused for a missing partner.
    (any::<bool>(), prop::collection::vec(pair, 0..10)).prop_map(|(complete, pairs)| {
        let partners = PARTNERS
            .iter()
            .filter(|_| complete)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        partners.chain(pairs).collect()
    })
}

/// What others need beside them.
const PARTNERS: [(&str, &str); 10] = [
    ("DB_HOST", "db"),
    ("DB_ADAPTER", "postgres"),
    ("SMTP_HOST", "mail"),
    ("SMTP_USER", "mailer"),
    ("MATTERMOST_PUSH_SERVER", "https://push.example.com"),
    ("GITLAB_ID", "id"),
    ("GITLAB_SECRET", MARK),
    ("GITLAB_AUTH_ENDPOINT", "https://git.example.com/oauth/authorize"),
    ("GITLAB_TOKEN_ENDPOINT", "https://git.example.com/oauth/token"),
    ("GITLAB_API_ENDPOINT", "https://git.example.com/api/v4/user"),
];

fn version() -> impl Strategy<Value = Series> {
    prop::sample::select(vec![(5, 37), (7, 8), (9, 5), (10, 11), (11, 7), (12, 0)])
        .prop_map(|(major, minor)| Series::new(major, minor))
}

fn no_file(_: &Path) -> io::Result<String> {
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn shows_no_secret(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(!text.contains(MARK), "a secret is shown: {text}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_environment_is_rendered_as_meant_or_refused(
        environment in environment(),
        version in version(),
        line in prop::sample::select(vec![Line::Builtin, Line::Team, Line::Enterprise]),
        docker in any::<bool>(),
    ) {
        let sources = Sources {
            defaults: if docker { Defaults::DockerMattermost } else { Defaults::Release },
            secrets: None,
            wanted: None,
            environment: &environment,
            flags: &BTreeMap::new(),
            site_url: None,
            read_file: &no_file,
        };
        let resolved = match settings::resolve(Server { version, line }, &sources) {
            Ok(resolved) => resolved,
            Err(findings) => {
                prop_assert!(!findings.0.is_empty());
                shows_no_secret(&findings.to_string())?;
                shows_no_secret(&format!("{findings:?}"))?;
                return shows_no_secret(&json!(findings).to_string());
            }
        };
        let config = settings::render(&resolved, &json!({}));
        let text = config.to_string();
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).expect("rendered JSON parses"), &config);

        for row in rows() {
            let Some(said) = environment.get(row.name) else { continue };
            let said = settings::as_meant(row.name, said).expect("what is rendered is a value");
            if said.is_empty() {
                continue;
            }
            let Some(place) = row.place(version) else { continue };
            if environment.keys().any(|name| *name == place.variable()) {
                continue;
            }
            let meant = place.form.write(row.read(&said).expect("what is rendered suits its row"));
            let (section, key) = (place.section, place.key);
            prop_assert_eq!(&config[section][key], &meant, "{}", row.name);
        }

        shows_no_secret(&format!("{resolved:?}"))?;
        for notice in resolved.notices() {
            shows_no_secret(&notice.to_string())?;
            shows_no_secret(&json!(notice).to_string())?;
        }
        // Every secret was changed by hand, and another one is declared.
        let on_disk = json!({"SqlSettings": {"DataSource": MARK}, "FileSettings": {"PublicLinkSalt": MARK}});
        let present = Present { config: Some(&on_disk), shipped: &json!({}), memory: None };
        let reconciled = settings::reconcile(&resolved, &[], present, Undeclared::GoesBack);
        shows_no_secret(&format!("{:?}", reconciled.memory))?;
        for drift in reconciled.drift() {
            shows_no_secret(&json!(drift).to_string())?;
        }
        for deployed in [None, Some(&reconciled)] {
            for entry in settings::list(&resolved, deployed) {
                shows_no_secret(&json!(entry).to_string())?;
                if let Ok(explanation) = settings::explain(&entry.name, &resolved, deployed) {
                    shows_no_secret(&explanation.to_string())?;
                    shows_no_secret(&json!(explanation).to_string())?;
                }
            }
        }
    }
}
