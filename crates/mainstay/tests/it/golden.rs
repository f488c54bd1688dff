//! Everything that Mainstay prints, as golden files: see [`session`](crate::session).

use crate::place::processes_of;
use crate::session::{Session, commands};

/// A session of mistakes: no process may remain.
fn mistakes(name: &str) {
    let session = Session::new();
    session.check(name);
    assert!(processes_of(&session.place.root).is_empty(), "{name} left a process");
}

#[test]
fn mistyped_commands() {
    mistakes("mistyped");
}

#[test]
fn wrong_values() {
    mistakes("values");
}

#[test]
fn wrong_directories() {
    mistakes("directory");
}

#[test]
fn wrong_mainstay_toml() {
    mistakes("mainstay-toml");
}

#[test]
fn wrong_environment() {
    mistakes("environment");
}

#[test]
fn a_port_that_is_in_use() {
    mistakes("port");
}

#[test]
fn from_installation_to_removal() {
    Session::new().check("lifecycle");
}

#[test]
fn json() {
    Session::new().check("json");
}

#[test]
fn damaged_files() {
    Session::new().check("damage");
}

#[test]
fn images_and_compose_files() {
    mistakes("image");
}

#[test]
fn apps() {
    mistakes("apps");
}

#[test]
fn failed_steps() {
    Session::new().check("failure");
}

/// The reference page of the commands is the golden file of every `-h`. Where `--help` says more, it is in `help.console`.
#[test]
fn help() {
    let session = Session::new();
    session.check_page("commands", "reference/commands.md");
    let page = session.shell("env -u MAINSTAY_DIR mainstay reference commands").expect(0).stdout;
    let sections = page.split("\n## `").skip(1);
    for (command, text) in sections.filter_map(|section| section.split_once('`')) {
        let help = |flag: &str| {
            let line = format!("env -u MAINSTAY_DIR {command} {flag}");
            let help = session.shell(&line).expect(0).stdout;
            let short = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            (line, short)
        };
        let ((_, short), (line, long)) = (help("-h"), help("--help"));
        assert_eq!(text.trim(), format!("```text\n{}\n```", short.trim()), "{command} -h");
        assert!(short == long || commands("help").contains(&line), "add `$ {line}` to help.console");
    }
    session.check("help");
}

#[test]
fn the_reference_page_of_the_settings() {
    Session::new().check_page("settings", "settings.md");
}

/// These need PostgreSQL or root.
mod full {
    use secrecy::ExposeSecret as _;

    use crate::full::external::database;
    use crate::full::image::{Run, Volume};
    use crate::session::Session;

    /// A session whose settings name a database on a server.
    fn on_server(name: &str, exists: bool) {
        let server = database(name, exists);
        let mut session = Session::new()
            .env("DB_ADAPTER", "postgres")
            .env("DB_HOST", "127.0.0.1")
            .env("DB_PORT", &server.port.to_string())
            .env("DB_NAME", name)
            .env("DB_USER", name)
            .env("DB_PASS", server.password.expose_secret());
        session.redact(&format!(r"\b{}\b", server.port), "[DB_PORT]");
        session.redact(r#"(PostgreSQL |"version": ?")\d+\.\d+"#, "${1}[POSTGRESQL]");
        session.check(name);
    }

    #[test]
    fn a_database_on_a_server() {
        on_server("external", true);
    }

    #[test]
    fn a_database_that_does_not_exist() {
        on_server("missing", false);
    }

    #[test]
    fn a_container() {
        let volume = Volume::new();
        let run = Run::new(&volume);
        let words: [&[&str]; 3] = [&["--plan"], &["--plan", "app:migrate"], &["app:help"]];
        let ran = words.map(|words| (format!("docker run IMAGE {}", words.join(" ")), run.to_end(words)));
        Session::new().compare("container", ran.into_iter());
    }
}
