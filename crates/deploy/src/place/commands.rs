//! The commands that a message names, as they are typed where the deployment lives.
//!
//! Every message is written for a machine with one deployment in the default directory; its commands are data ([`finding::Hint`]). What is
//! typed there differs: `--dir` where the command line had it, other users' commands with it always, because `sudo` keeps no
//! variables; in a container `docker restart` where `mainstay up` would be, the way into the container before the others, and a variable or
//! a volume in place of a flag. All messages pass through here just before they are printed, so that a message of any crate is right, a new
//! one too.
//!
//! A directory that `MAINSTAY_DIR` names is in the environment of whoever reads the message, so it is not repeated.
//!
//! Rejected: a function for each command that the place of a message calls. Most messages are made in crates that know of no place.

use std::path::{Path, PathBuf};

use container_contract::VOLUME;
use finding::{Command, Hint, SAME, quoted};

use super::Place;

/// How commands are typed where the reader of a message is.
#[derive(Debug, Clone)]
pub struct Commands {
    place: Place,
    /// The deployment's directory, where a command must name it.
    dir: Option<PathBuf>,
    /// The name of the container, where it is known.
    container: Option<String>,
    /// The arguments of the command that was typed, each quoted, without `--dir`.
    typed: String,
}

/// Commands of these need no deployment.
const OF_NONE: [&str; 9] =
    ["apps", "completions", "export", "help", "image", "man", "version", "entrypoint", "--help"];

impl Commands {
    /// Of a deployment in the default directory.
    pub fn at(place: Place) -> Self {
        Self { place, dir: None, container: None, typed: "COMMAND".to_owned() }
    }

    /// Of a deployment in a directory that the command line names.
    #[must_use]
    pub fn in_dir(self, dir: &Path) -> Self {
        Self { dir: Some(dir.to_owned()), ..self }
    }

    /// Of a container with this name.
    #[must_use]
    pub fn in_container(self, name: Option<String>) -> Self {
        Self { container: name, ..self }
    }

    /// For messages about the command with these arguments.
    #[must_use]
    pub fn after(self, arguments: &[String]) -> Self {
        let mut kept = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match &**argument {
                "--dir" => drop(arguments.next()),
                dir if dir.starts_with("--dir=") => {}
                other => kept.push(quoted(other)),
            }
        }
        Self { typed: kept.join(" "), ..self }
    }

    /// A message with the commands of this place. A message that has been here already stays as it is.
    pub fn message(&self, text: &str) -> String {
        if text.contains('`') { self.hint(&Hint::from(text)) } else { text.to_owned() }
    }

    /// The same for a hint.
    pub fn hint(&self, hint: &Hint) -> String {
        let said = hint.rendered(|command| self.line(command));
        match self.place {
            Place::Machine => said,
            Place::Container => said.replace("`--dir`", &format!("`--volume NAME:{VOLUME}`")),
        }
    }

    /// The commands of a hint alone.
    pub fn lines(&self, hint: &Hint) -> Vec<String> {
        let line = |command: &Command| self.line(command).unwrap_or_else(|| command.line().to_owned());
        hint.commands().map(line).collect()
    }

    /// A command as it is typed here; `None`: as it is.
    fn line(&self, command: &Command) -> Option<String> {
        let again = format!("mainstay {SAME}");
        let line = command.line();
        let of_same = || line.ends_with(&format!(" {SAME}"));
        let line = match line.contains(&again) || of_same() {
            true => line.replace(SAME, &self.typed),
            false => line.to_owned(),
        };
        let here = match self.place {
            Place::Machine => self.on_machine(&line),
            Place::Container => {
                let here = in_container(&line);
                here.map(|here| match &self.container {
                    Some(name) => here.replace("CONTAINER", name),
                    None => here,
                })
            }
        };
        here.or_else(|| (line != command.line()).then_some(line))
    }

    /// A command of this machine, with its directory.
    fn on_machine(&self, line: &str) -> Option<String> {
        let (before, rest) = line.split_once("mainstay ").filter(|(before, _)| {
            before.is_empty() || (before.starts_with("sudo ") && before.ends_with(' '))
        })?;
        let dir = self.dir.as_ref()?;
        let needs_none = OF_NONE.contains(&rest.split(' ').next().unwrap_or_default());
        if needs_none || rest.starts_with("--dir ") || rest.contains(" --dir ") {
            return None;
        }
        Some(format!("{before}mainstay --dir {} {rest}", quoted(&dir.display().to_string())))
    }
}

impl Place {
    /// Where commands run that no deployment is named for.
    pub fn of(variables: &std::collections::BTreeMap<String, String>) -> Self {
        if super::container::is_container(variables) { Self::Container } else { Self::Machine }
    }
}

/// A machine's command as it is typed beside a container; `None`: it is the same, or it is none.
fn in_container(command: &str) -> Option<String> {
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
    use std::path::Path;

    use finding::hint;

    use super::{Commands, Place};

    #[test]
    fn a_container_is_started_stopped_and_entered_from_outside() {
        let said = |text: &str| Commands::at(Place::Container).message(text);
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
            assert_eq!(Commands::at(Place::Machine).message(machine), machine);
        }
        let empty = Place::Container.start_empty();
        assert_eq!(said(empty), empty);
    }

    #[test]
    fn a_directory_that_was_named_is_named_again_as_a_shell_reads_it() {
        let commands = Commands::at(Place::Machine).in_dir(Path::new("/srv/my chat"));
        for (written, typed) in [
            ("run `mainstay up`", "run `mainstay --dir '/srv/my chat' up`"),
            ("`sudo mainstay status`", "`sudo mainstay --dir '/srv/my chat' status`"),
            ("`sudo -u me mainstay down --yes`", "`sudo -u me mainstay --dir '/srv/my chat' down --yes`"),
            ("`mainstay --dir /a up`", "`mainstay --dir /a up`"),
            ("`mainstay image build`, `up`, `ls -l`", "`mainstay image build`, `up`, `ls -l`"),
        ] {
            assert_eq!(commands.message(written), typed);
            assert_eq!(commands.message(typed), typed, "a second time");
        }
    }

    #[test]
    fn the_same_command_is_the_one_that_was_typed() {
        let typed =
            ["--dir", "/srv/chat", "settings", "explain", "MM_X", "--why", "two words"].map(str::to_owned);
        let commands = Commands::at(Place::Machine).after(&typed);
        let hint = hint!("run it as root: `sudo mainstay --dir {} SAME`", "/srv/chat");
        let whole = "sudo mainstay --dir /srv/chat settings explain MM_X --why 'two words'";
        assert_eq!(commands.hint(&hint), format!("run it as root: `{whole}`"));
        assert_eq!(commands.lines(&hint), [whole]);
    }

    #[test]
    fn a_container_whose_name_is_known_is_named() {
        let commands = Commands::at(Place::Container).in_container(Some("0123456789ab".to_owned()));
        assert_eq!(
            commands.message("see `mainstay status`"),
            "see `docker exec 0123456789ab mainstay status`"
        );
    }
}
