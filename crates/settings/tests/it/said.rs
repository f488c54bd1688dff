//! What is told about settings: explanations, drift, rotation, the generated page.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::json;
use settings::{Defaults, Resolved, Secrets, Sources};
use version::Series;

const V11_7: Series = Series::new(11, 7);

fn resolved(
    toml: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
    secrets: Option<&Secrets>,
) -> Resolved {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let wanted = settings::parse(Path::new("mainstay.toml"), toml).expect("right TOML");
    let sources = Sources {
        defaults: Defaults::DockerMattermost,
        secrets,
        wanted: Some(&wanted),
        environment: &map(environment),
        flags: &map(flags),
        site_url: None,
        read_file: &|_| Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    settings::resolve(V11_7, &sources).unwrap_or_else(|findings| panic!("{findings}"))
}

#[test]
fn an_explanation_shows_every_layer_and_where_it_comes_from() {
    let toml = "\n[mattermost.TeamSettings]\nSiteName = \"from the file\"\n";
    let environment =
        [("MATTERMOST_NAME", "from a variable"), ("MM_TEAMSETTINGS_SITENAME", "from the server's own")];
    let resolved = resolved(toml, &environment, &[("MATTERMOST_NAME", "from a flag")], None);
    let explanation = settings::explain("TeamSettings.SiteName", &resolved, None).expect("a setting");
    let layers: Vec<_> =
        explanation.layers.iter().map(|held| format!("{} ({})", held.value, held.origin)).collect();
    let expected = [
        "from a flag (command line)",
        "from the server's own (environment variable MM_TEAMSETTINGS_SITENAME)",
        "from a variable (environment variable MATTERMOST_NAME)",
        "from the file (mainstay.toml:3)",
        "Mattermost (docker-mattermost's default)",
    ];
    assert_eq!(layers, expected);
    assert_eq!(explanation.config.as_deref(), Some("TeamSettings.SiteName"));
    for name in ["mattermost_name", "MM_TEAMSETTINGS_SITENAME", "teamsettings.sitename"] {
        assert_eq!(settings::explain(name, &resolved, None).as_ref(), Ok(&explanation), "{name}");
    }
}

#[test]
fn days_are_explained_as_the_hours_that_they_become() {
    let resolved = resolved("", &[("MATTERMOST_WEB_SESSION_DAYS", "7")], &[], None);
    let text =
        settings::explain("MATTERMOST_WEB_SESSION_DAYS", &resolved, None).expect("a setting").to_string();
    assert!(text.contains("value        168  (environment variable MATTERMOST_WEB_SESSION_DAYS)"), "{text}");
    assert!(text.contains("ServiceSettings.SessionLengthWebInHours (server 11.7, days times 24)"), "{text}");
}

#[test]
fn a_setting_without_a_row_and_a_key_of_mainstay_are_explained_too() {
    let resolved = resolved("", &[], &[], None);
    let of_key = settings::explain("ServiceSettings.EnableLocalMode", &resolved, None).expect("a key");
    assert_eq!(of_key.variables, ["MM_SERVICESETTINGS_ENABLELOCALMODE"]);
    assert!(settings::explain("listen", &resolved, None).expect("a key of ours").meaning.contains("edge"));
    let unknown = settings::explain("MATTERMOST_NMAE", &resolved, None).expect_err("no such setting");
    assert!(unknown.contains("did you mean `MATTERMOST_NAME`?"), "{unknown}");
}

#[test]
fn a_generated_salt_opens_no_public_links() {
    let secrets = Secrets::generate("admin");
    let resolved = resolved("", &[], &[], Some(&secrets));
    assert_eq!(resolved.value("FileSettings", "EnablePublicLink"), Some(&json!(false)));
    let salt =
        resolved.value("FileSettings", "PublicLinkSalt").and_then(|salt| salt.as_str()).unwrap_or_default();
    assert!(salt.len() >= 32);
}

#[test]
fn the_page_names_every_setting() {
    let page = settings::reference();
    for row in settings::table::rows() {
        assert!(page.contains(&format!("| `{}`", row.name)), "{}", row.name);
    }
    assert!(page.contains("`ServiceSettings.SessionLengthWebInHours`, times 24"));
}

#[test]
fn the_command_line_outranks_the_file_for_mainstays_own_keys_too() {
    let toml = "listen = \"127.0.0.1:1\"\nsite_url = \"https://file.example.com\"\n";
    let wanted = settings::parse(Path::new("mainstay.toml"), toml).expect("right TOML");
    let wanted = wanted
        .with("listen", "127.0.0.1:2")
        .and_then(|wanted| wanted.with("site_url", "https://FLAG.example.com/"));
    let wanted = wanted.expect("right values");
    let none = BTreeMap::new();
    let sources = Sources {
        defaults: Defaults::Release,
        secrets: None,
        wanted: Some(&wanted),
        environment: &none,
        flags: &wanted.flags(),
        site_url: Some("http://localhost:1"),
        read_file: &|_| Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let resolved = settings::resolve(V11_7, &sources).expect("right settings");
    let shown = |name: &str| {
        let layers = settings::explain(name, &resolved, None).expect("a setting").layers;
        layers.iter().map(|held| format!("{} ({})", held.value, held.origin)).collect::<Vec<_>>()
    };
    assert_eq!(shown("listen"), ["127.0.0.1:2 (command line)", "127.0.0.1:1 (mainstay.toml:1)"]);
    let expected = [
        "https://flag.example.com (command line)",
        "https://file.example.com (mainstay.toml:2)",
        "http://localhost:1 (follows from listen)",
    ];
    assert_eq!(shown("ServiceSettings.SiteURL"), expected);
    assert_eq!((wanted.get("listen"), resolved.key("listen").len()), (Some("127.0.0.1:2"), 2));
}
