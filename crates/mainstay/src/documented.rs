//! Every command that a page or a message shows is one that the command line takes. `tests/it/full/pages.rs` runs those of the pages.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::shown::{Shown, shown};

/// Words that stand for another, and one that could stand there.
const PLACEHOLDERS: [(&str, &str); 14] = [
    ("SAME", "status"),
    ("OPERATION", "verify"),
    ("PART", "server"),
    ("RUN", "12"),
    ("SECONDS", "30"),
    ("PARENT", "1"),
    ("VERSION", "11.6"),
    ("ADDR:PORT", "127.0.0.1:8065"),
    ("NAME:TAG", "chat:1"),
    ("EDITION", "team"),
    ("URL", "https://chat.example.com"),
    ("SHELL", "bash"),
    ("COMMAND", "status"),
    ("...", ""),
];

/// The files below `dir` with this extension.
fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
}

/// The words of a command, without a shell's redirections, and with values in the place of placeholders.
fn words(command: &str) -> Vec<String> {
    // What a message fills in: `{path}`, `{}`.
    let mut filled = String::new();
    for (index, part) in command.split('{').enumerate() {
        if index == 0 {
            filled.push_str(part);
            continue;
        }
        let (name, rest) = part.split_once('}').unwrap_or_default();
        let known = PLACEHOLDERS.iter().find(|(placeholder, _)| placeholder.eq_ignore_ascii_case(name));
        filled.push_str(known.map_or("1", |(_, value)| value));
        filled.push_str(rest);
    }
    let filled = filled.replace("\\\"", "\"");
    let words = shlex::split(&filled).expect("words");
    let words = words.into_iter().take_while(|word| !matches!(word.as_str(), ">" | "|" | "&&" | ";"));
    words
        .map(|word| {
            let bare = word.trim_matches(['[', ']']);
            let value = PLACEHOLDERS.iter().find(|(name, _)| *name == bare);
            value.map_or(word, |(_, value)| (*value).to_owned())
        })
        .filter(|word| !word.is_empty())
        .collect()
}

/// Why the command line does not take a command; `None`: it does.
fn refusal(command: &str) -> Option<String> {
    let error = Cli::try_parse_from(words(command)).err()?;
    let is_only_named = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_only_named && !is_help).then(|| error.to_string())
}

fn wrong(paths: &[PathBuf]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for path in paths {
        let text = std::fs::read_to_string(path).expect("a text");
        for Shown { line, text: command, .. } in shown(&text) {
            if !command.starts_with("mainstay ") {
                continue;
            }
            count += 1;
            if let Some(refusal) = refusal(&command) {
                wrong.push(format!("{}:{line}: {command}\n{refusal}", path.display()));
            }
        }
    }
    assert!(count > 20, "only {count} commands found: the search is broken");
    wrong
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn commands_of_the_pages() {
    let mut pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|page| root().join(page)).to_vec();
    files(&root().join("docs"), "md", &mut pages);
    let wrong = wrong(&pages);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_of_messages_and_comments() {
    let mut sources = Vec::new();
    for crate_dir in std::fs::read_dir(root().join("crates")).expect("crates") {
        files(&crate_dir.expect("a crate").path().join("src"), "rs", &mut sources);
    }
    let wrong = wrong(&sources);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands between back-ticks in the messages of a source file, without its comments and tests.
fn spans(source: &str) -> impl Iterator<Item = &str> {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2).take(line.matches('`').count() / 2))
}

/// Every command that a message names, and what a container's message names instead.
#[test]
fn commands_in_a_container() {
    let mut sources = Vec::new();
    for crate_dir in std::fs::read_dir(root().join("crates")).expect("crates") {
        files(&crate_dir.expect("a crate").path().join("src"), "rs", &mut sources);
    }
    // How they are translated.
    sources.retain(|path| !path.ends_with("place/commands.rs"));
    let texts = sources.iter().map(|path| std::fs::read_to_string(path).expect("a text"));
    let commands = deploy::Commands::at(deploy::Place::Container);
    let mut list = std::collections::BTreeSet::new();
    for text in texts {
        for span in spans(&text) {
            let machine = format!("`{span}`");
            let container = commands.message(&machine);
            assert_eq!(container, commands.message(&container), "a second time");
            if machine.starts_with("`mainstay ") || container != machine {
                list.insert(format!("{machine}\n    {container}\n"));
            }
        }
    }
    let listed: String = list.into_iter().collect();
    // Nothing there is installed, stopped or removed by a command of its own.
    for command in ["`mainstay up`", "`mainstay down`", "`mainstay uninstall`", "`--dir`"] {
        assert!(listed.contains(&format!("{command}\n")), "no message names {command}: the search is broken");
        assert!(!listed.contains(&format!("    {command}")), "{command} in a container");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/container-commands.txt");
    let expected = snapbox::Data::read_from(&golden, None);
    snapbox::Assert::new().action_env("SNAPSHOTS").normalize_paths(false).eq(listed, expected);
}
