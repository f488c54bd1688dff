//! Keys and salts that were published: everybody knows them, so everybody can forge what they sign.

use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::capability::{self, Effect};
use crate::config;
use crate::row::Row;
use crate::secrets::{SALTS, Salt, Secrets};
use crate::server::Server;
use crate::table;

/// Samples of docker-mattermost's README and Compose file, and what Mattermost's own config.json shipped with up to 3.x. Compared
/// in lower case.
const SAMPLES: [&str; 9] = [
    "long-and-random-alphanumeric-string",
    "long-and-random-alpha-numeric-string",
    "long-and-random-string",
    "some-long-random-alphanumeric-string",
    // config.json: PublicLinkSalt, InviteSalt, PasswordResetSalt, AtRestEncryptKey.
    "a705aklyf8mfdofcwh3i488g8vtllvip",
    "bjlsr4qqkxfbr7tp4odzlfzmcnuh9yos",
    "vz4dckyvvrlkhhjpexcuxzojke5pz5el",
    "7rah6iwqckv4ca1gsg3fggoxjaq43qvg",
    // AtRestEncryptKey in pages that explain the configuration in the database.
    "n5uax3d4f919obtsp1pw1k5xetq1enez",
];

/// A secret that everybody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Which one.
    pub salt: &'static Salt,
}

impl Published {
    /// What that means.
    pub fn danger(&self) -> String {
        format!("it is a sample that was published, so everybody knows it: {}", self.salt.known_means)
    }

    /// What to do, where `given_by` is what gives it, and where: it outranks secrets.toml.
    pub fn fix(&self, given_by: Option<&str>) -> String {
        let rotate = format!("`mainstay settings secrets rotate {}`", self.salt.name);
        let way = match given_by {
            Some(place) => format!("Take {place}, and run {rotate}"),
            None => format!("Run {rotate}"),
        };
        format!("{way}. What that costs: {}", self.salt.breaks)
    }
}

/// Whether that text was published: a sample, one character again and again, or a sample made longer by repeating it.
pub(crate) fn is_published(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let mut characters = text.chars();
    let repeats = characters.next().is_some_and(|first| characters.all(|next| next == first));
    !text.is_empty()
        && (repeats
            || SAMPLES.iter().any(|sample| {
                let rest = text.strip_prefix(sample);
                rest.is_some_and(|rest| {
                    rest.chars().all(|c| !c.is_ascii_alphanumeric()) || rest.starts_with(*sample)
                })
            }))
}

/// The secret that a setting's text is, if everybody knows it.
pub(crate) fn published_row(row: &Row, text: &str) -> Option<Published> {
    let salt = SALTS.iter().find(|salt| salt.row == row.name)?;
    is_published(text).then_some(Published { salt })
}

/// The published ones among the keys that a server uses: what its config.json says, and what secrets.toml keeps for it.
pub fn published(server: Server, config: &Value, secrets: Option<&Secrets>) -> Vec<Published> {
    let used = |salt: &&Salt| {
        let place = table::find(salt.row).and_then(|row| row.place(server.version));
        let Some(place) = place else { return false };
        if capability::effect(server, place.section, place.key, &salt.name.into()) != Effect::Followed {
            return false;
        }
        let in_config = config::get(config, place.section, place.key).and_then(Value::as_str);
        let kept = secrets.into_iter().flat_map(Secrets::salts).find(|(row, _)| row.name == salt.row);
        in_config.or(kept.map(|(_, text)| text.expose_secret())).is_some_and(is_published)
    };
    SALTS.iter().filter(used).map(|salt| Published { salt }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn samples_are_known_and_keys_of_ones_own_are_not() {
        for sample in [
            "long-and-random-alphanumeric-string",
            "Long-And-Random-Alphanumeric-String ",
            "A705AklYF8MFDOfcwh3I488G8vtLlVip",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(is_published(sample), "{sample}");
        }
        for own in ["", "long-and-random-alphanumeric-string-of-ours", "q8Wn2xLr5TzK9vBd4HsY7mCg3JpF6aEu"] {
            assert!(!is_published(own), "{own}");
        }
    }

    #[test]
    fn what_the_server_uses_counts() {
        let config = json!({"FileSettings": {"PublicLinkSalt": "A705AklYF8MFDOfcwh3I488G8vtLlVip"}});
        let server = Server { version: version::Series::new(11, 6), line: crate::server::Line::Builtin };
        let found = published(server, &config, None);
        assert_eq!(found.iter().map(|found| found.salt.name).collect::<Vec<_>>(), ["link_salt"]);
        assert!(found[0].fix(None).contains("rotate link_salt"));
        assert!(published(server, &json!({}), Some(&Secrets::generate("admin"))).is_empty());
    }
}
