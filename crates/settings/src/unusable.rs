//! Values in config.json that no server can be started and verified with: of another shape than their key has, or against what the
//! server requires. It does not matter who wrote them; the server ends at the first of them.

use serde_json::Value;

use crate::config::get;
use crate::kind::a_kind;
use crate::known;
use crate::required::{self, Said};
use crate::server::Server;
use crate::table;

/// A key of config.json whose value the server cannot be started with. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The section.
    pub section: String,
    /// The key in it; empty where the section itself is no table.
    pub key: String,
    /// What is wrong, as a sentence fragment.
    pub problem: String,
    /// What is allowed.
    pub allowed: String,
}

impl Unusable {
    /// `Section.Key`.
    pub fn path(&self) -> String {
        if self.key.is_empty() { self.section.clone() } else { format!("{}.{}", self.section, self.key) }
    }
}

/// Every key whose value in `config` that server cannot be started with, by name. A key that its release does not have is not looked at.
pub fn unusable(config: &Value, server: Server) -> Vec<Unusable> {
    let version = server.version;
    let mut found: Vec<Unusable> = Vec::new();
    for known in known::of(version) {
        let section = known.section;
        if let Some(table) = section_of(config, section)
            && !table.is_object()
        {
            let is_new = found.last().is_none_or(|last| last.section != section);
            if is_new {
                let problem = format!("is {}", a_kind(table));
                found.push(Unusable {
                    section: section.to_owned(),
                    key: String::new(),
                    problem,
                    allowed: "allowed: a table".to_owned(),
                });
            }
            continue;
        }
        let Some(value) = get(config, section, known.key) else { continue };
        let of_shape = known.shape.problem(value).map(|problem| (problem, known.shape.allowed().to_owned()));
        let row = table::rows().find(|row| {
            row.place(version).is_some_and(|place| (place.section, place.key) == (section, known.key))
        });
        let of_value = || required::unusable(section, known.key, row, value, version);
        if let Some((problem, allowed)) = of_shape.or_else(of_value) {
            let (section, key) = (section.to_owned(), known.key.to_owned());
            found.push(Unusable { section, key, problem, allowed });
        }
    }
    let look = |section: &str, key: &str| {
        let there = get(config, section, key).cloned();
        let value = there.or_else(|| known::default(section, key, version))?;
        Some(Said { value, given: true })
    };
    for ((section, key), problem, allowed) in required::together(server, &look) {
        let (section, key, allowed) = (section.to_owned(), key.to_owned(), allowed.to_owned());
        found.push(Unusable { section, key, problem, allowed });
    }
    found
}

/// A section as it is; letters match without case.
fn section_of<'a>(config: &'a Value, section: &str) -> Option<&'a Value> {
    let sections = config.as_object()?;
    let found = sections.iter().find(|(name, _)| name.eq_ignore_ascii_case(section));
    found.map(|(_, table)| table).filter(|table| !table.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use version::Series;

    use super::*;
    use crate::server::Line;

    const V11_6: Server = Server { version: Series::new(11, 6), line: Line::Team };

    fn paths(config: &Value) -> Vec<String> {
        unusable(config, V11_6).iter().map(|wrong| format!("{} {}", wrong.path(), wrong.problem)).collect()
    }

    /// Every key of the release, with each value that its shape does not allow.
    #[test]
    fn every_key_with_every_wrong_shape_is_found() {
        let values = [json!(true), json!(5), json!(1.5), json!("x"), json!(["x"]), json!({"x": 1})];
        for known in known::of(V11_6.version) {
            for value in values.iter().filter(|value| known.shape.problem(value).is_some()) {
                let mut config = json!({});
                crate::config::set(&mut config, known.section, known.key, value.clone());
                let is_found = unusable(&config, V11_6).iter().any(|wrong| wrong.path() == known.path());
                assert!(is_found, "{} = {value}", known.path());
            }
        }
    }

    #[test]
    fn a_section_that_is_no_table_is_named_once_and_null_is_as_if_it_were_not_there() {
        assert_eq!(paths(&json!({"servicesettings": 5})), ["ServiceSettings is a number"]);
        assert_eq!(paths(&json!({"ServiceSettings": null, "TeamSettings": {"SiteName": null}})), [""; 0]);
        assert_eq!(
            paths(&json!({"TeamSettings": {"sitename": 5}, "Mine": 1})),
            ["TeamSettings.SiteName is a number"]
        );
    }

    #[test]
    fn a_value_that_the_server_cannot_be_verified_with_is_found_whoever_wrote_it() {
        for (config, is) in [
            (
                json!({"ServiceSettings": {"MaximumURLLength": 100}}),
                "ServiceSettings.MaximumURLLength is 100, which is out of its range",
            ),
            (
                json!({"EmailSettings": {"ConnectionSecurity": "starttls"}}),
                "EmailSettings.ConnectionSecurity is `starttls`, which is not one of its words",
            ),
            (
                json!({"ServiceSettings": {"SiteURL": "https://$DOMAIN"}}),
                "ServiceSettings.SiteURL has `$DOMAIN` in it, which nothing has replaced",
            ),
            (
                json!({"EmailSettings": {"EnableSignInWithEmail": false, "EnableSignInWithUsername": false}}),
                "EmailSettings.EnableSignInWithEmail is false, and no other way to sign in is on: no one could",
            ),
            (
                json!({"TeamSettings": {"MaxUsersPerTeam": 1, "RestrictDirectMessage": "team"}}),
                "TeamSettings.RestrictDirectMessage is \"team\" while a team has room for one person (TeamSettings.MaxUsersPerTeam is 1): \
                 no two people could write to each other",
            ),
            (
                json!({"ServiceSettings": {"ThreadAutoFollow": false}}),
                "ServiceSettings.ThreadAutoFollow is false while ServiceSettings.CollapsedThreads is on, and the server does not \
                 start on that",
            ),
        ] {
            assert_eq!(paths(&config), [is]);
        }
        for right in [
            json!({"EmailSettings": {"ConnectionSecurity": "PLAIN", "SMTPServer": "", "FeedbackEmail": "not an address"}}),
            json!({"EmailSettings": {"EnableSignInWithEmail": false}}),
            json!({"SupportSettings": {"HelpLink": "{{ link }}"}}),
        ] {
            assert_eq!(paths(&right), [""; 0], "{right}");
        }
    }
}
