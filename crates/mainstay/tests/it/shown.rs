//! The commands and files that a page shows.

/// Something that a reader of a page may type, or may put into a file.
pub(crate) struct Shown {
    /// The line of the page that it begins on.
    pub line: usize,
    /// `sh` for a command; otherwise the language of the block, such as `toml`.
    pub language: String,
    /// The command, with its continued lines and without its comment; or the block.
    pub text: String,
}

/// What `page` shows: its blocks, each command of a shell block by itself, and `mainstay ...` between backquotes.
pub(crate) fn shown(page: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut block: Option<(usize, String, Vec<String>)> = None;
    for (line, text) in (1..).zip(page.lines()) {
        let fence = text.trim().strip_prefix("```");
        match (&mut block, fence) {
            (None, Some(language)) => block = Some((line + 1, language.to_owned(), Vec::new())),
            (Some(_), Some(_)) => {
                if let Some((line, language, lines)) = block.take() {
                    if language == "sh" {
                        all.extend(commands(line, &lines));
                    } else {
                        all.push(Shown { line, language, text: lines.join("\n") });
                    }
                }
            }
            (Some((_, _, lines)), None) => lines.push(text.trim().to_owned()),
            (None, None) => {
                let spans = text.split('`').skip(1).step_by(2);
                // A span that is not closed goes on in the next line, and is prose.
                let closed = spans.take(text.matches('`').count() / 2);
                let commands = closed.filter(|span| span.starts_with("mainstay "));
                all.extend(commands.map(|command| command_at(line, command)));
            }
        }
    }
    all
}

fn command_at(line: usize, text: &str) -> Shown {
    Shown { line, language: "sh".to_owned(), text: text.to_owned() }
}

/// The commands of a shell block; a line that ends with `\` goes on in the next.
fn commands(first: usize, lines: &[String]) -> Vec<Shown> {
    let mut commands = Vec::new();
    let mut begun = String::new();
    for (line, text) in (first..).zip(lines) {
        let text = text.split(" #").next().unwrap_or_default().trim();
        match text.strip_suffix('\\') {
            Some(start) => begun.push_str(start),
            None if begun.is_empty() && text.is_empty() => {}
            None => commands.push(command_at(line, &format!("{}{text}", std::mem::take(&mut begun)))),
        }
    }
    commands
}

#[test]
fn commands_and_files_of_a_page() {
    let page = "Say `mainstay up --plan`, or `up`.\n\n   ```toml\n   [a]\n   b = 1\n   ```\n\n```sh\ndocker run \\\n    IMAGE  # it\nls\n```\n";
    let all: Vec<_> = shown(page).into_iter().map(|one| (one.line, one.language, one.text)).collect();
    let expected = [
        (1, "sh", "mainstay up --plan"),
        (4, "toml", "[a]\nb = 1"),
        (10, "sh", "docker run IMAGE"),
        (11, "sh", "ls"),
    ];
    assert_eq!(all, expected.map(|(line, language, text)| (line, language.to_owned(), text.to_owned())));
}
