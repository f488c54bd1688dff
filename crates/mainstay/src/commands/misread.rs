//! A command line that clap cannot read, or one that asks for help.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Error};
use deploy::{Commands, Place};
use finding::Exit;

use crate::cli::Cli;
use crate::printer::Printer;

/// Words that people try because other tools have them, and what to type instead. clap itself finds words that are only mistyped.
const ELSEWHERE: [(&[&str], &str); 7] = [
    (
        &["rollback", "downgrade"],
        "a newer release changes the database for good; to go back, restore a backup that was made before",
    ),
    (
        &["backup", "restore", "snapshot"],
        "to back up: `mainstay down`, copy the deployment's directory, secrets.toml included, `mainstay up`",
    ),
    (
        &["doctor", "health", "ps", "info"],
        "to see how it is: `mainstay status`; to test it: `mainstay verify`",
    ),
    (
        &["check", "test", "validate", "lint"],
        "to test it: `mainstay verify`; its settings: `mainstay settings check`",
    ),
    (
        &["config", "configure", "set"],
        "to set something: mainstay.toml, then `mainstay up`; see `mainstay settings --help`",
    ),
    (&["remove", "delete", "destroy", "purge"], "to remove the deployment: `mainstay uninstall`"),
    (
        &["build", "push", "docker", "compose"],
        "images: `mainstay image`; a compose file: `mainstay export compose`",
    ),
];

/// Prints what is wrong, or the help that was asked for.
pub(super) fn report(mut error: Error) -> Exit {
    // Help and version are no mistakes.
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    improve(&mut error);
    let flags = || std::env::args_os().skip(1).take_while(|word| word != "--");
    if exit == Exit::Usage && flags().any(|word| word == "--json") {
        let text = error.render().to_string();
        let (what, rest) = match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => ("a command is missing", &*text),
            _ => text.split_once('\n').unwrap_or((&text, "")),
        };
        let what = what.strip_prefix("error: ").unwrap_or(what);
        let commands = Box::leak(Box::new(Commands::at(Place::of(&super::variables()))));
        let printer = Printer { json: true, verbose: false, commands };
        printer.failure(&deploy::Error::new(Exit::Usage, what).hint(rest.trim()));
    }
    let _ = error.print();
    exit
}

/// clap also offers the commands that Mainstay calls itself with: they are taken out. A word of another tool gets its counterpart.
fn improve(error: &mut Error) {
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::ValidSubcommand] {
        match error.remove(kind) {
            Some(ContextValue::Strings(names)) => {
                let names: Vec<String> = names.into_iter().filter(|name| !is_hidden(name)).collect();
                if !names.is_empty() {
                    error.insert(kind, ContextValue::Strings(names));
                }
            }
            Some(ContextValue::String(name)) if is_hidden(&name) => {}
            Some(other) => {
                error.insert(kind, other);
            }
            None => {}
        }
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    if let Some((_, instead)) = ELSEWHERE.iter().find(|(words, _)| words.contains(&word.as_str())) {
        error.remove(ContextKind::SuggestedSubcommand);
        let instead = Commands::at(Place::of(&super::variables())).message(instead);
        let instead = ContextValue::StyledStrs(vec![StyledStr::from(instead)]);
        error.insert(ContextKind::Suggested, instead);
    }
}

/// Whether `name` is a command that only Mainstay itself calls.
fn is_hidden(name: &str) -> bool {
    Cli::command().find_subcommand(name).is_some_and(clap::Command::is_hide_set)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{ELSEWHERE, is_hidden};
    use crate::cli::Cli;

    #[test]
    fn no_word_of_another_tool_is_a_command() {
        let command = Cli::command();
        for word in ELSEWHERE.iter().flat_map(|(words, _)| *words) {
            assert!(
                command.find_subcommand(word).is_none(),
                "{word} is a command now: take it out of the table"
            );
        }
    }

    /// Every flag that takes a number, by the command that has it.
    fn numbers(command: &clap::Command, found: &mut Vec<(String, bool)>) {
        let of = std::any::TypeId::of::<u32>();
        for arg in command.get_arguments() {
            let kind = arg.get_value_parser().type_id();
            let is_number = [of, std::any::TypeId::of::<u64>()].iter().any(|number| kind == *number);
            if is_number && arg.get_long().is_some() {
                let name = format!("{} {}", command.get_name(), arg.get_id());
                found.push((name, arg.is_allow_negative_numbers_set()));
            }
        }
        command.get_subcommands().for_each(|command| numbers(command, found));
    }

    #[test]
    fn a_negative_number_is_told_to_be_out_of_range() {
        let mut found = Vec::new();
        numbers(&Cli::command(), &mut found);
        assert!(found.len() >= 8, "{found:?}");
        for (name, is_read_as_a_number) in found {
            assert!(is_read_as_a_number, "{name}");
        }
        let error =
            Cli::command().try_get_matches_from(["mainstay", "logs", "-n", "-1"]).expect_err("refused");
        assert!(error.to_string().contains("-1 is not in 0..="), "{error}");
    }

    #[test]
    fn commands_of_mainstay_itself_are_known() {
        assert!(is_hidden("hold-to") && is_hidden("agent") && !is_hidden("up"));
    }
}
