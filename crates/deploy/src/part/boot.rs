//! The start at boot: the unit with which systemd starts the agent, and brings everything up after it.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{Action, FileChange, Unit, environment_text};
use crate::boot::{self, File, Found, Standing};
use crate::error::Error;
use crate::place::layout::FILE_LIMIT;
use crate::state::settled::Settled;
use crate::world::World;

/// What is to change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// What is to be done.
    pub change: Option<Unit>,
}

/// Whether somebody asked for the start at boot, or refused it; `None`: nobody said anything.
pub(crate) fn said(wanted: &settings::Wanted) -> Option<bool> {
    wanted.get("boot").map(|said| said == "true")
}

/// Looks. `keeps`: this run changes nothing about the start at boot.
pub(super) async fn observe(world: &World, settled: &Settled, keeps: bool) -> Result<Observed, Error> {
    let said = said(&settled.desired.wanted);
    if keeps {
        return Ok(Observed::default());
    }
    let change = match &boot::look(world).await? {
        Standing::Unit(found) => {
            let text = boot::unit_text(world, settled, &found.name, found.manager.scope()).text();
            let read = |path: &std::path::Path| {
                let content = host::disk::read_guarded(path, FILE_LIMIT).ok()?;
                Some(String::from_utf8_lossy(&content.bytes).into_owned())
            };
            let environment = read(&world.layout.boot_environment());
            let is_same =
                read(&found.path()).as_ref() == Some(&text) && environment == environment_text(world);
            change(found, said, text, is_same, environment.is_some())
        }
        _ => None,
    };
    Ok(Observed { change })
}

/// What is to be done about a unit. What an administrator did with it stays: an edited file, and one that is not enabled, unless somebody
/// `said` that it is to start at boot.
fn change(
    found: &Found,
    said: Option<bool>,
    text: String,
    is_same: bool,
    has_environment: bool,
) -> Option<Unit> {
    let enabled = found.shown.is_enabled();
    let unit = |file: FileChange, existed: bool, enable: bool| Unit {
        name: found.name.clone(),
        scope: found.manager.scope(),
        file,
        existed,
        enable,
        enabled: enabled && existed,
        has_environment,
    };
    match (found.file, said) {
        (File::Missing, Some(true) | None) => Some(unit(FileChange::Write(text), false, true)),
        (File::Ours, Some(false)) => Some(unit(FileChange::Remove, true, false)),
        (File::Ours, said) => {
            let enable = enabled || said == Some(true);
            (!is_same || enable != enabled).then(|| unit(FileChange::Write(text), true, enable))
        }
        (File::Missing | File::Edited | File::Foreign | File::Masked, _) => None,
    }
}

/// The step that removes the unit with its deployment, where it is Mainstay's.
///
/// # Errors
/// systemd does not answer.
pub(crate) async fn removal(world: &World) -> Result<Option<Unit>, Error> {
    let Some((manager, name)) = boot::present(world) else { return Ok(None) };
    let enabled = manager.show(&name).await?.is_enabled();
    let has_environment = world.layout.boot_environment().exists();
    let (scope, file) = (manager.scope(), FileChange::Remove);
    Ok(Some(Unit { name, scope, file, existed: true, enable: false, enabled, has_environment }))
}

pub(super) struct Boot;

impl Part for Boot {
    fn name(&self) -> &'static str {
        "boot"
    }

    /// Before the agent, which the unit starts then.
    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        match stage {
            stage if stage == super::agent::stage(view) => {
                view.observed.boot.change.clone().map(Unit::step).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use host::systemd::{Manager, Shown};

    use super::*;

    #[test]
    fn what_an_administrator_did_with_the_unit_stays() {
        let found = |file, enabled: &str| Found {
            manager: Manager::of_machine(),
            name: "mainstay.service".to_owned(),
            file,
            shown: Shown { file: enabled.to_owned(), ..Shown::default() },
            from_boot: true,
        };
        let decide = |file, enabled, said, is_same| {
            change(&found(file, enabled), said, "text".to_owned(), is_same, false)
                .map(|unit| (matches!(unit.file, FileChange::Write(_)), unit.enable))
        };
        assert_eq!(decide(File::Missing, "", None, false), Some((true, true)));
        assert_eq!(decide(File::Missing, "", Some(false), false), None);
        assert_eq!(decide(File::Ours, "enabled", None, true), None);
        assert_eq!(decide(File::Ours, "enabled", None, false), Some((true, true)));
        // Disabled by somebody: it stays so, until somebody asks for it.
        assert_eq!(decide(File::Ours, "disabled", None, true), None);
        assert_eq!(decide(File::Ours, "disabled", None, false), Some((true, false)));
        assert_eq!(decide(File::Ours, "disabled", Some(true), true), Some((true, true)));
        assert_eq!(decide(File::Ours, "enabled", Some(false), true), Some((false, false)));
        for theirs in [File::Edited, File::Foreign, File::Masked] {
            assert_eq!(decide(theirs, "enabled", None, false), None);
            assert_eq!(decide(theirs, "enabled", Some(false), false), None);
        }
    }
}
