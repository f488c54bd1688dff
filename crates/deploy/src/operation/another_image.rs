//! An interrupted start of a container, which a container of another image finds: that image's release is not here, so nothing can go on.

use plan::{Plan, Step};

use crate::action::{Action, Hold, Server, Switch};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// The release that an interrupted run was about to start, where this image does not hold it: the container was replaced by one of another
/// image meanwhile.
pub(super) fn of_another_image(layout: &Layout, plan: &Plan<Action>) -> Option<String> {
    let mut started = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Server(Server { switch: Switch::On, spec }) => Some(&spec.release),
        _ => None,
    });
    let missing = started.next_back().filter(|release| !release.exists())?;
    let decides = layout.place().image_decides_release();
    decides.then(|| missing.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Refuses to take back what people may have used already.
///
/// # Errors
/// Nothing is `left` to do but to let people in.
pub(super) fn refuse_after_admission(left: &[Step<Action>], release: Option<&str>) -> Result<(), Error> {
    if !left.first().is_some_and(Hold::admits) {
        return Ok(());
    }
    let release = release.unwrap_or_default();
    let what = format!(
        "{release} was proven on this volume, and people may have used it since; this image does not hold it"
    );
    Err(Error::new(Exit::Refused, what).hint(format!(
        "start an image with {release} on this volume; to go back, restore a backup that was made before it"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::ServerSpec;

    fn plan(release: &str) -> Plan<Action> {
        let spec = ServerSpec {
            release: release.into(),
            user: None,
            listen: ([127, 0, 0, 1], 1).into(),
            socket: None,
            overrides: [].into(),
            path: String::new(),
        };
        let steps = vec![
            Server { switch: Switch::Off, spec: spec.clone() }.step(),
            Server { switch: Switch::On, spec }.step(),
            Hold { on: false }.step(),
        ];
        Plan::new("up", "a test", steps)
    }

    #[test]
    fn a_run_of_another_image_is_taken_back_until_people_were_let_in() {
        let (container, machine) = (Layout::container(), Layout::new("/srv/chat"));
        let newer = plan("/opt/mattermost/releases/11.6.0+9.9.9-builtin");
        assert_eq!(of_another_image(&container, &newer).as_deref(), Some("11.6.0+9.9.9-builtin"));
        assert_eq!(of_another_image(&machine, &newer), None, "a machine keeps its releases");
        assert_eq!(of_another_image(&container, &plan("/")), None, "it is here");
        for (next, is_refused) in [(0, false), (1, false), (2, true), (3, false)] {
            let left = &newer.steps[next..];
            assert_eq!(refuse_after_admission(left, Some("11.6.0")).is_err(), is_refused, "{next}");
        }
    }
}
