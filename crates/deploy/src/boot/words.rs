//! Whether a deployment starts at boot, in words.

use serde::Serialize;

use super::standing::{File, Found, Standing};

/// Whether a deployment starts when its machine does, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// Whether it does.
    pub starts: bool,
    /// Who starts it, or why nobody does.
    pub why: String,
    /// What changes that, or what to know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The unit that runs it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Boot {
    /// In one line.
    pub fn line(&self) -> String {
        let answer = if self.starts { "yes" } else { "no" };
        match &self.hint {
            Some(hint) => format!("{answer}: {}; {hint}", self.why),
            None => format!("{answer}: {}", self.why),
        }
    }

    fn no(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { starts: false, why: why.into(), hint: Some(hint.into()), unit: None }
    }
}

/// How it is; `None` where something outside decides that. `is_wanted`: whether `mainstay.toml` does not refuse it. `agent`: the unit
/// that the running agent belongs to, where an agent runs.
pub(crate) fn boot(standing: &Standing, is_wanted: bool, agent: Option<Option<&str>>) -> Option<Boot> {
    let found = match standing {
        Standing::Outside => return None,
        Standing::Unit(found) => found,
        _ if !is_wanted => return Some(not_wanted()),
        Standing::Passing(path) => {
            return Some(Boot::no(
                format!("{} does not survive a restart of the machine", path.display()),
                "have the deployment and `mainstay` in places that do, such as /srv and /usr/local/bin",
            ));
        }
        Standing::NoManager { for_user: true } => {
            return Some(Boot::no(
                "systemd runs no services for this user",
                "sign in as the user, not by `su`, and run `mainstay up` again",
            ));
        }
        Standing::NoManager { for_user: false } => {
            return Some(Boot::no(
                "this machine does not run systemd",
                "`mainstay export cron`, `export openrc` and `export runit` print what starts it",
            ));
        }
    };
    Some(with_agent(of_unit(found, is_wanted), found, agent))
}

fn not_wanted() -> Boot {
    Boot::no("`boot = false` in mainstay.toml", "`mainstay up --boot` changes that")
}

fn of_unit(found: &Found, is_wanted: bool) -> Boot {
    let (name, systemctl) = (&found.name, found.manager.command());
    let unit = Some(name.clone());
    let path = found.path();
    match found.file {
        File::Missing | File::Masked | File::Foreign if !is_wanted => not_wanted(),
        File::Missing => Boot::no("it has no unit", "`mainstay up` writes one"),
        File::Masked => Boot {
            unit,
            ..Boot::no(
                format!("{name} is masked"),
                format!("`{systemctl} unmask {name}`, then `mainstay up`"),
            )
        },
        File::Foreign => Boot::no(
            format!("{} is not Mainstay's, and stays as it is", path.display()),
            "remove it and run `mainstay up`, or see to the start at boot yourself",
        ),
        File::Ours | File::Edited if !found.shown.is_enabled() => Boot {
            unit,
            ..Boot::no(
                format!(
                    "{name} is {}",
                    if found.shown.file.is_empty() { "not enabled" } else { &found.shown.file }
                ),
                format!("`{systemctl} enable {name}` changes that"),
            )
        },
        File::Ours | File::Edited if !found.from_boot => Boot {
            unit,
            ..Boot::no(
                format!("systemd starts {name} when you sign in"),
                "`sudo loginctl enable-linger $USER` starts it at boot, and keeps it when you sign out",
            )
        },
        _ if !is_wanted => Boot {
            starts: true,
            why: format!("systemd starts {name}, although mainstay.toml says `boot = false`"),
            hint: Some(match found.file {
                File::Edited => format!("{} has been edited; `{systemctl} disable {name}`", path.display()),
                _ => "`mainstay up` removes it".to_owned(),
            }),
            unit,
        },
        File::Ours => Boot { starts: true, why: format!("systemd starts {name}"), hint: None, unit },
        File::Edited => Boot {
            starts: true,
            why: format!("systemd starts {name}"),
            hint: Some(format!(
                "{} has been edited, so Mainstay leaves it as it is; put the changes into a drop-in (`{systemctl} edit {name}`), remove \
                 the file and run `mainstay up` for the unit of this version",
                path.display()
            )),
            unit,
        },
    }
}

/// The same with what is to be known of the running agent.
fn with_agent(boot: Boot, found: &Found, agent: Option<Option<&str>>) -> Boot {
    let is_elsewhere = agent.is_some_and(|unit| unit != Some(&*found.name));
    if boot.hint.is_some() || !boot.starts {
        return boot;
    }
    if is_elsewhere {
        let hint = "the agent that runs now is not systemd's; `mainstay restart agent` makes it so";
        return Boot { hint: Some(hint.to_owned()), ..boot };
    }
    if found.shown.is_outdated {
        let hint = format!("its files have changed; `{} daemon-reload` reads them", found.manager.command());
        return Boot { hint: Some(hint), ..boot };
    }
    boot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standing_has_its_words() {
        let said = |standing: &Standing, is_wanted| boot(standing, is_wanted, None).map(|boot| boot.line());
        assert_eq!(said(&Standing::Outside, true), None);
        let passing = said(&Standing::Passing("/tmp/chat".into()), true).expect("words");
        assert!(passing.starts_with("no: /tmp/chat does not survive"), "{passing}");
        let none = Standing::NoManager { for_user: false };
        assert!(said(&none, true).expect("words").contains("does not run systemd; `mainstay export cron`"));
        assert!(said(&none, false).expect("words").contains("`boot = false` in mainstay.toml"));
    }

    #[test]
    fn a_unit_that_does_not_start_the_deployment_says_what_makes_it() {
        let manager = host::systemd::Manager::of_machine();
        let shown = host::systemd::Shown { file: "enabled".to_owned(), ..Default::default() };
        let found =
            Found { manager, name: "mainstay.service".to_owned(), file: File::Ours, shown, from_boot: true };
        let said = |found: &Found, agent| boot(&Standing::Unit(found.clone()), true, agent).expect("words");
        assert_eq!(said(&found, None).line(), "yes: systemd starts mainstay.service");
        assert!(said(&found, Some(None)).line().contains("`mainstay restart agent` makes it so"));
        assert!(!said(&Found { from_boot: false, ..found.clone() }, None).starts);
        assert!(!said(&Found { file: File::Masked, ..found.clone() }, None).starts);
    }
}
