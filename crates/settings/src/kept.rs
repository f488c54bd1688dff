//! The salts and keys that a Mattermost which Mainstay takes over was run with: from whoever declares them, otherwise from its config.json.

use secrecy::SecretString;
use serde_json::Value;

use crate::config;
use crate::origin::Origin;
use crate::resolved::Resolved;
use crate::secrets::{SALTS, SHORTEST_SALT, Salt, Secrets};

/// One of them; `None` = neither says it, or it is shorter than the server allows.
fn kept(salt: &Salt, resolved: &Resolved, config: &Value) -> Option<SecretString> {
    let places = salt.row().map_or(&[][..], |row| row.places);
    let given = |place: &crate::row::Place| {
        let setting = resolved.setting(place.section, place.key)?;
        setting.value().filter(|_| setting.origin().is_some_and(Origin::is_given))
    };
    let given = places.iter().find_map(given);
    let found =
        given.or_else(|| places.iter().find_map(|place| config::get(config, place.section, place.key)));
    let text = found?.as_str().filter(|text| text.chars().count() >= SHORTEST_SALT)?;
    Some(text.to_owned().into())
}

/// Those of them that nothing says, and without which something stops working in this version.
pub fn lost_salts(resolved: &Resolved, config: &Value) -> Vec<&'static Salt> {
    let is_lost = |salt: &&Salt| kept(salt, resolved, config).is_none() && salt.is_used(resolved.version());
    SALTS.iter().filter(is_lost).collect()
}

/// Secrets for a Mattermost that is taken over: fresh ones, with the salts and keys that it had.
pub fn keeping_salts(admin_name: &str, resolved: &Resolved, config: &Value) -> Secrets {
    let salts = SALTS.iter().filter_map(|salt| Some((salt.name, kept(salt, resolved, config)?)));
    Secrets::with_salts(admin_name, salts.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use version::Series;

    use super::*;
    use crate::resolve::{Defaults, Sources, resolve};

    fn resolved(version: Series, pairs: &[(&str, &str)]) -> Resolved {
        let environment = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>();
        let sources = Sources {
            defaults: Defaults::Release,
            secrets: None,
            wanted: None,
            environment: &environment,
            flags: &BTreeMap::new(),
            site_url: None,
            read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
        };
        resolve(version, &sources).expect("they are right")
    }

    #[test]
    fn salts_are_kept_from_variables_then_from_the_old_config_and_the_lost_ones_are_named() {
        let (given, old) = ("g".repeat(40), "o".repeat(32));
        let version = Series::new(11, 6);
        let config =
            json!({"FileSettings": {"PublicLinkSalt": old}, "SqlSettings": {"AtRestEncryptKey": "short"}});
        let salt = |resolved: &Resolved, name: &str| {
            let secrets = keeping_salts("admin", resolved, &config);
            let found = secrets
                .salts()
                .find(|(row, _)| row.name == name)
                .map(|(_, salt)| salt.expose_secret().to_owned());
            found.expect("every salt is there")
        };
        let nothing = resolved(version, &[]);
        assert_eq!(salt(&nothing, "MATTERMOST_LINK_SALT"), old);
        assert_ne!(salt(&nothing, "MATTERMOST_SECRET_KEY"), "short");
        assert_eq!(
            salt(&resolved(version, &[("MATTERMOST_LINK_SALT", &given)]), "MATTERMOST_LINK_SALT"),
            given
        );
        let lost = |resolved: &Resolved, config: &Value| {
            lost_salts(resolved, config).iter().map(|salt| salt.name).collect::<Vec<_>>()
        };
        assert_eq!(lost(&nothing, &config), Vec::<&str>::new());
        assert_eq!(lost(&nothing, &Value::Null), ["link_salt"]);
        assert_eq!(lost(&resolved(Series::new(5, 9), &[]), &config), ["invite_salt"]);
    }
}
