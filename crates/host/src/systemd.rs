//! systemd: what a service tells it, and what it is asked.
//!
//! A service talks to it in datagrams ([`Notifier`]); everything else goes through `systemctl` ([`Manager`]).
//!
//! Rejected: its bus. A client library for ten calls costs more to build than `systemctl` costs to start, and `systemctl` also works
//! where no bus runs.

mod manager;
mod notify;

pub use manager::{Manager, Scope, Shown, lingers};
pub use notify::Notifier;

/// A word of a command line in a unit, in systemd's quotes: `%` and `$` are not expanded.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '%' | '$' => text.extend([c, c]),
            _ => text.push(c),
        }
    }
    text.push('"');
    text
}

/// A path where a unit wants one, in quotes where it needs them. A dollar sign means itself there.
pub fn path(path: &str) -> String {
    quoted(path).replace("$$", "$")
}

/// A line of an environment file (`EnvironmentFile=`) that gives a variable exactly this value.
pub fn environment_line(name: &str, value: &str) -> String {
    let mut text = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push_str("\"\n");
    text
}

/// The service that a process belongs to, such as `mainstay.service`.
pub fn service_of(pid: u32) -> Option<String> {
    service_in(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The service in the text of a `/proc/PID/cgroup`: systemd's own hierarchy has a name, or is the only one.
fn service_in(cgroups: &str) -> Option<String> {
    let of_systemd = |line: &&str| line.contains(":name=systemd:") || line.starts_with("0::");
    let services = cgroups.lines().filter(of_systemd).filter_map(|line| {
        let (_, path) = line.rsplit_once(':')?;
        // A user's services are below the user's own manager, which is a service, too.
        path.rsplit('/').find(|part| part.ends_with(".service"))
    });
    services.map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        assert_eq!(quoted("/usr/bin/mainstay"), "/usr/bin/mainstay");
        assert_eq!(quoted("node \"a\" $X 100%"), "\"node \\\"a\\\" $$X 100%%\"");
    }

    #[test]
    fn a_path_keeps_its_characters() {
        assert_eq!(path("/srv/chat"), "/srv/chat");
        assert_eq!(path("/srv/50% off $x"), "\"/srv/50%% off $x\"");
        assert_eq!(quoted("/srv/50% off $x"), "\"/srv/50%% off $$x\"");
    }

    #[test]
    fn the_service_of_a_process_is_the_innermost_one() {
        let hybrid = "4:memory:/x\n1:name=systemd:/system.slice/mainstay.service\n0::/\n";
        assert_eq!(service_in(hybrid).as_deref(), Some("mainstay.service"));
        let user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/mainstay-chat.service\n";
        assert_eq!(service_in(user).as_deref(), Some("mainstay-chat.service"));
        assert_eq!(service_in("0::/user.slice/user-0.slice/session-1.scope\n"), None);
    }

    #[test]
    fn a_variable_keeps_its_value() {
        assert_eq!(environment_line("A", r#"x "y" $z\"#), "A=\"x \\\"y\\\" \\$z\\\\\"\n");
    }
}
