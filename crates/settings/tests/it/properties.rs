//! Whatever an environment says: it is rendered as it was meant, or refused; and no secret is shown.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use settings::{Base, Defaults, Row, Sources, Version, table};

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

fn environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    let row = prop::sample::select(rows()).prop_flat_map(|row| {
        let value = if row.secret { secret().boxed() } else { value().boxed() };
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
        "MM_NOSUCH_PASSWORD",
        "MATTERMOST_SECRT_KEY",
    ]);
    let server_secret = (server_secret.prop_map(str::to_owned), secret());
    let pair = prop_oneof![10 => row, 2 => server, 2 => server_secret];
    prop::collection::vec(pair, 0..14).prop_map(|pairs| pairs.into_iter().collect())
}

fn version() -> impl Strategy<Value = Version> {
    prop::sample::select(vec![(5, 37), (7, 8), (9, 5), (10, 11), (11, 7), (12, 0)])
        .prop_map(|(major, minor)| Version::new(major, minor))
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
        docker in any::<bool>(),
    ) {
        let sources = Sources {
            defaults: if docker { Defaults::DockerMattermost } else { Defaults::Release },
            secrets: None,
            wanted: None,
            environment: &environment,
            flags: &BTreeMap::new(),
            read_file: &no_file,
        };
        let resolved = match settings::resolve(version, &sources) {
            Ok(resolved) => resolved,
            Err(findings) => {
                prop_assert!(!findings.0.is_empty());
                shows_no_secret(&findings.to_string())?;
                shows_no_secret(&format!("{findings:?}"))?;
                return shows_no_secret(&json!(findings).to_string());
            }
        };
        let config = settings::render_for(&resolved, Base::Shipped(&json!({})));
        let text = config.to_string();
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).expect("rendered JSON parses"), &config);

        for row in rows() {
            let Some(said) = environment.get(row.name).filter(|said| !said.is_empty()) else { continue };
            let Some(place) = row.place(version) else { continue };
            if environment.keys().any(|name| *name == place.variable()) {
                continue;
            }
            let meant = place.form.write(row.read(said).expect("what is rendered suits its row"));
            let (section, key) = (place.section, place.key);
            prop_assert_eq!(&config[section][key], &meant, "{}", row.name);
        }

        shows_no_secret(&format!("{resolved:?}"))?;
        for notice in resolved.notices() {
            shows_no_secret(&notice.to_string())?;
            shows_no_secret(&json!(notice).to_string())?;
        }
        for entry in settings::list(&resolved) {
            shows_no_secret(&json!(entry).to_string())?;
            if let Ok(explanation) = settings::explain(&entry.name, &resolved) {
                shows_no_secret(&explanation.to_string())?;
                shows_no_secret(&json!(explanation).to_string())?;
            }
        }
        for drift in settings::diff(&resolved, &json!({"SqlSettings": {"DataSource": MARK}}), &config) {
            shows_no_secret(&json!(drift).to_string())?;
        }
    }
}
