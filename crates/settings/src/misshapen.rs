//! Values in config.json that no server can read: of another shape than their key has. The server ends at the first of them.

use serde_json::Value;
use version::Series;

use crate::config::get;
use crate::kind::a_kind;
use crate::known;

/// A key of config.json whose value has the wrong shape. Its value is not in it: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The section.
    pub section: String,
    /// The key in it; empty where the section itself is no table.
    pub key: String,
    /// What is wrong, as a sentence fragment.
    pub problem: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl Misshapen {
    /// `Section.Key`.
    pub fn path(&self) -> String {
        if self.key.is_empty() { self.section.clone() } else { format!("{}.{}", self.section, self.key) }
    }
}

/// Every key of that release whose value in `config` has the wrong shape, by name. A key that the release does not have is not looked at.
pub fn misshapen(config: &Value, version: Series) -> Vec<Misshapen> {
    let mut found: Vec<Misshapen> = Vec::new();
    for known in known::of(version) {
        let section = known.section;
        if let Some(table) = section_of(config, section)
            && !table.is_object()
        {
            let is_new = found.last().is_none_or(|last| last.section != section);
            if is_new {
                let problem = format!("is {}", a_kind(table));
                found.push(Misshapen {
                    section: section.to_owned(),
                    key: String::new(),
                    problem,
                    allowed: "allowed: a table",
                });
            }
            continue;
        }
        let Some(value) = get(config, section, known.key) else { continue };
        if let Some(problem) = known.shape.problem(value) {
            let (key, allowed) = (known.key.to_owned(), known.shape.allowed());
            found.push(Misshapen { section: section.to_owned(), key, problem, allowed });
        }
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

    use super::*;

    const V11_6: Series = Series::new(11, 6);

    fn paths(config: &Value) -> Vec<String> {
        misshapen(config, V11_6).iter().map(|wrong| format!("{} {}", wrong.path(), wrong.problem)).collect()
    }

    /// Every key of the release, with each value that its shape does not allow.
    #[test]
    fn every_key_with_every_wrong_shape_is_found() {
        let values = [json!(true), json!(5), json!(1.5), json!("x"), json!(["x"]), json!({"x": 1})];
        for known in known::of(V11_6) {
            for value in &values {
                let mut config = json!({});
                crate::config::set(&mut config, known.section, known.key, value.clone());
                let found = misshapen(&config, V11_6);
                let is_wrong = found.iter().any(|wrong| wrong.path() == known.path());
                assert_eq!(is_wrong, known.shape.problem(value).is_some(), "{} = {value}", known.path());
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
}
