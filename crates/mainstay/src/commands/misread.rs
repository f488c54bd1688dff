//! A command line that clap cannot read, or one that asks for help.

use std::collections::BTreeSet;

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
        &["downgrade"],
        "to go back to the release before the last upgrade: `mainstay rollback`; to an older state: `mainstay restore`",
    ),
    (&["snapshot"], "to back up: `mainstay backup create`; to go back to a backup: `mainstay restore`"),
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

/// The same below a command: the command, the words, and what to type instead.
const BELOW: [(&str, &[&str], &str); 1] = [(
    "apps aws",
    &["deploy", "update", "provision", "validate", "rollback", "undeploy", "list"],
    "`mainstay apps aws` prepares the account; apps are deployed with `mainstay apps deploy BUNDLE`; see `mainstay apps --help`",
)];

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

/// clap also offers commands and flags that are hidden, such as those that Mainstay calls itself with: they are taken out. A word of
/// another tool gets its counterpart.
fn improve(error: &mut Error) {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let visible = Visible::below(&Cli::command(), &usage);
    for kind in [ContextKind::SuggestedSubcommand, ContextKind::ValidSubcommand, ContextKind::SuggestedArg] {
        match error.remove(kind) {
            Some(ContextValue::Strings(names)) => {
                let names: Vec<String> = names.into_iter().filter(|name| visible.has(name)).collect();
                if !names.is_empty() {
                    error.insert(kind, ContextValue::Strings(names));
                }
            }
            Some(ContextValue::String(name)) if !visible.has(&name) => {}
            Some(other) => {
                error.insert(kind, other);
            }
            None => {}
        }
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let Some(instead) = instead(word, &usage) else { return };
    error.remove(ContextKind::SuggestedSubcommand);
    let instead = Commands::at(Place::of(&super::variables())).message(instead);
    let instead = ContextValue::StyledStrs(vec![StyledStr::from(instead)]);
    error.insert(ContextKind::Suggested, instead);
}

/// What to type instead of a word of another tool. `usage` is that of the command which does not know the word.
fn instead(word: &str, usage: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.contains(&word);
    let below = usage.trim_start_matches("Usage:").trim_start();
    let below = below.strip_prefix(Cli::command().get_name()).unwrap_or(below).trim_start();
    if let Some((_, _, instead)) =
        BELOW.iter().find(|(command, words, _)| below.starts_with(command) && has(words))
    {
        return Some(instead);
    }
    // Below a command, a word means something else.
    let is_first = below.is_empty() || below.starts_with(['[', '<']);
    ELSEWHERE.iter().find(|(words, _)| is_first && has(words)).map(|(_, instead)| *instead)
}

/// The names of commands and flags that the help of one command shows.
struct Visible(BTreeSet<String>);

impl Visible {
    /// Those of the command which `usage` is of, and of those below it: a flag may be hidden at one command and shown at another.
    fn below(mut command: &clap::Command, usage: &str) -> Self {
        let mut visible = Self(BTreeSet::new());
        for word in usage.trim_start_matches("Usage:").split_whitespace() {
            if let Some(named) = command.find_subcommand(word) {
                visible.add_flags(command.get_arguments().filter(|arg| arg.is_global_set()));
                command = named;
            } else if word != command.get_name() {
                break;
            }
        }
        visible.add(command);
        visible
    }

    fn add_flags<'a>(&mut self, flags: impl Iterator<Item = &'a clap::Arg>) {
        for arg in flags.filter(|arg| !arg.is_hide_set()) {
            let long = arg.get_long().into_iter().map(str::to_owned);
            let aliases =
                arg.get_visible_aliases().unwrap_or_default().into_iter().map(|name| name.to_string());
            self.0.extend(long.chain(aliases).map(|name| format!("--{name}")));
        }
    }

    fn add(&mut self, command: &clap::Command) {
        self.add_flags(command.get_arguments());
        for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            self.0.insert(command.get_name().to_owned());
            self.0.extend(command.get_visible_aliases().map(str::to_owned));
            self.add(command);
        }
    }

    /// Whether this is a visible command or flag, as clap names it: a flag may stand with its value.
    fn has(&self, name: &str) -> bool {
        let name = name.split([' ', '=']).next().unwrap_or(name);
        // clap adds these to every command.
        ["help", "--help", "--version"].contains(&name) || self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{ELSEWHERE, Visible, improve, instead};
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
        let visible = Visible::below(&Cli::command(), "");
        assert!(!visible.has("hold-to") && !visible.has("agent") && visible.has("up"));
        assert!(visible.has("--edition"));
        let restore = Visible::below(&Cli::command(), "Usage: mainstay restore [OPTIONS] [SNAPSHOT]");
        assert!(!restore.has("--edition") && restore.has("--release") && restore.has("--json"));
    }

    /// Every hidden flag and command, with the words before it.
    fn hidden(command: &clap::Command, before: &[String], found: &mut Vec<Vec<String>>) {
        let with = |word: String| [before, &[word]].concat();
        let flags = command.get_arguments().filter(|arg| arg.is_hide_set());
        found.extend(flags.filter_map(|arg| Some(with(format!("--{}", arg.get_long()?)))));
        for below in command.get_subcommands() {
            let words = with(below.get_name().to_owned());
            if below.is_hide_set() {
                found.push(words);
            } else {
                hidden(below, &words, found);
            }
        }
    }

    #[test]
    fn nothing_hidden_is_ever_suggested() {
        let mut found = Vec::new();
        hidden(&Cli::command(), &["mainstay".to_owned()], &mut found);
        assert!(found.len() > 20, "{found:?}");
        for words in found {
            let name = words.last().expect("a word").clone();
            // As somebody types it wrong.
            let typed = format!("{}x", &name[..name.len() - 1]);
            let typed = [&words[..words.len() - 1], &[typed]].concat();
            if let Err(mut error) = Cli::command().try_get_matches_from(&typed) {
                improve(&mut error);
                let text = error.to_string();
                assert!(!text.contains(&format!("'{name}'")), "{typed:?}: {text}");
            }
        }
        let typed = ["mainstay", "apps", "deploy", "x.zip", "--install"];
        let mut error = Cli::command().try_get_matches_from(typed).expect_err("no such flag");
        improve(&mut error);
        assert!(!error.to_string().contains("inject"), "{error}");
    }

    #[test]
    fn a_word_means_something_else_below_a_command() {
        let below = instead("deploy", "Usage: mainstay apps aws [OPTIONS] <COMMAND>").expect("a counterpart");
        assert!(below.contains("mainstay apps deploy BUNDLE"), "{below}");
        assert!(instead("doctor", "Usage: mainstay [OPTIONS] <COMMAND>").is_some());
        assert_eq!(instead("test", "Usage: mainstay apps [OPTIONS] <COMMAND>"), None);
    }
}
