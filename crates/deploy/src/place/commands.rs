//! The commands that a message names, as they are typed where the deployment lives.
//!
//! Every message is written for a machine. In a container the same act has another command: `docker restart` where `mainstay up` would be,
//! the way into the container before the others, and a variable or a volume in place of a flag. All messages pass through here just before
//! they are printed, so that a message of any crate is right, a new one too.
//!
//! Rejected: a function for each command that the place of a message calls. Most messages are made in crates that know of no place.

use std::borrow::Cow;

use container_contract::VOLUME;

use super::Place;

impl Place {
    /// Where commands run that no deployment is named for.
    pub fn of(variables: &std::collections::BTreeMap<String, String>) -> Self {
        if super::container::is_container(variables) { Self::Container } else { Self::Machine }
    }

    /// A message with the commands of this place. A message that has been here already stays as it is.
    pub fn message(self, text: &str) -> Cow<'_, str> {
        if self == Self::Machine || !text.contains('`') {
            return Cow::Borrowed(text);
        }
        let mut said = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('`') {
            said.push_str(before);
            said.push('`');
            rest = after;
            // A back-tick that begins no command is followed by other text, where the next command may begin.
            if let Some((command, after)) = after.split_once('`')
                && let Some(here) = in_container(command)
            {
                said.push_str(&here);
                said.push('`');
                rest = after;
            }
        }
        said.push_str(rest);
        Cow::Owned(said)
    }
}

/// A machine's command as it is typed beside a container; `None`: it is the same, or it is none.
fn in_container(command: &str) -> Option<String> {
    if command == "--dir" {
        return Some(format!("--volume NAME:{VOLUME}"));
    }
    let (program, rest) = command.split_once(' ')?;
    match program {
        "mainstay" => of_mainstay(command, rest),
        // The image has no such tools, and a stopped container no process.
        "mv" | "rm" | "ls" | "chmod" => {
            Some(format!("docker run --rm --volumes-from CONTAINER busybox {command}"))
        }
        "kill" => Some("docker restart CONTAINER".to_owned()),
        "sudo" => Some(match rest.strip_prefix("-u ").and_then(|rest| rest.split_once(' ')) {
            Some((user, command)) => format!("docker exec --user {user} CONTAINER {command}"),
            None => format!("docker exec --user root CONTAINER {rest}"),
        }),
        "ss" => Some("docker top CONTAINER".to_owned()),
        _ => None,
    }
}

fn of_mainstay(command: &str, rest: &str) -> Option<String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let image = |options: &str| format!("docker run {options} IMAGE");
    let here = match *words.as_slice() {
        // The command of an image, as it is given to `docker run`.
        ["up", .., "--foreground"] => return None,
        // A start gives up and moves aside what `--yes` does.
        ["up"] | ["up", "--yes"] => "docker restart CONTAINER".to_owned(),
        ["up", "--create-database", ..] => image("OPTIONS --env MAINSTAY_DATABASE_ADMIN=ADDRESS"),
        ["up", "--listen", ..] => image("OPTIONS --publish ADDR:PORT:80"),
        ["up", "--site-url", url] => image(&format!("OPTIONS --env MM_SERVICESETTINGS_SITEURL={url}")),
        ["up", "--plan", ..] => format!("{} --plan", image("OPTIONS")),
        // The image decides the release.
        ["up", "--release", ..] => image("OPTIONS"),
        ["up", ..] => format!("{} {command} --foreground", image("OPTIONS")),
        ["down"] => "docker stop CONTAINER".to_owned(),
        ["uninstall"] => "docker rm --force CONTAINER && docker volume rm VOLUME".to_owned(),
        ["logs", "server"] => "docker logs CONTAINER".to_owned(),
        ["logs", "-f"] => "docker logs -f CONTAINER".to_owned(),
        // The image has no browser: from a machine that has one.
        ["verify", "--browser"] => format!("{command} --url URL"),
        ["verify", "--browser", ..] => return None,
        // Images are made on a machine.
        ["image" | "export", ..] => return None,
        // They need no deployment, and are wanted where the container does not start.
        ["settings", "list" | "schema" | "render", ..] | ["version" | "database", ..] => {
            format!("{} {command}", image("--rm OPTIONS"))
        }
        _ => format!("docker exec CONTAINER {command}"),
    };
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_container_is_started_stopped_and_entered_from_outside() {
        let said = |text: &str| Place::Container.message(text).into_owned();
        for (machine, container) in [
            (
                "correct it, then run `mainstay up` again",
                "correct it, then run `docker restart CONTAINER` again",
            ),
            ("`mainstay down` stops it", "`docker stop CONTAINER` stops it"),
            (
                "see `status` and `mainstay status --json`",
                "see `status` and `docker exec CONTAINER mainstay status --json`",
            ),
            (
                "name another directory with `--dir`",
                "name another directory with `--volume NAME:/opt/mattermost/data`",
            ),
            ("it's `a name", "it's `a name"),
            ("a ` and `mainstay verify`", "a ` and `docker exec CONTAINER mainstay verify`"),
            (
                "or `mainstay up --create-database FILE`",
                "or `docker run OPTIONS --env MAINSTAY_DATABASE_ADMIN=ADDRESS IMAGE`",
            ),
            (
                "run it as root: `sudo mainstay --dir /opt/mattermost/data/.mainstay status`",
                "run it as root: `docker exec --user root CONTAINER mainstay --dir /opt/mattermost/data/.mainstay status`",
            ),
            (
                "`rm -r /opt/mattermost/data/x` deletes it",
                "`docker run --rm --volumes-from CONTAINER busybox rm -r /opt/mattermost/data/x` deletes it",
            ),
        ] {
            assert_eq!(said(machine), container);
            assert_eq!(said(container), container, "a second time");
            assert_eq!(Place::Machine.message(machine), machine);
        }
        let empty = Place::Container.start_empty();
        assert_eq!(said(empty), empty);
    }
}
