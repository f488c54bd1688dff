//! The version that a server binary prints: the output of `mattermost version`.
use serde::{Deserialize, Serialize};
use version::Version;

use crate::edition::{Edition, ReleaseId};

/// The answer of a server binary, kept in `release.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version and edition.
    pub release: ReleaseId,
    /// "Build Number": the version again in official builds, `dev` in builds from source.
    pub build_number: String,
    /// "Build Date", as printed.
    pub build_date: String,
    /// "Build Hash": the commit.
    pub build_hash: String,
    /// Whether it was unpacked from a file. Otherwise it was made of the `mainstay` program itself, and is replaced with that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_file: bool,
}

impl Identity {
    /// Reads the lines `Key: value`; other lines (logs, warnings about root, `DB Version` before 6.5)
    /// are ignored. The built-in server names itself in a line `Edition: builtin`.
    pub(crate) fn parse(output: &str) -> Result<Self, String> {
        let field = |key: &str| {
            output.lines().find_map(|line| Some(line.trim().strip_prefix(key)?.strip_prefix(':')?.trim()))
        };
        let version = field("Version").ok_or("it prints no line \"Version: ...\"")?;
        let mut version: Version = version.parse().map_err(|e: version::VersionError| e.to_string())?;
        let build_number = field("Build Number").unwrap_or_default().to_owned();
        let edition = match (field("Edition"), field("Build Enterprise Ready")) {
            (Some("builtin"), _) => Edition::Builtin,
            (Some(other), _) => {
                return Err(format!("it calls itself edition {other:?}, which Mainstay does not know"));
            }
            (None, Some("true")) => Edition::Enterprise,
            (None, Some("false")) => Edition::Team,
            (None, _) => return Err("it prints no line \"Build Enterprise Ready: true\" or \"false\"".into()),
        };
        if edition == Edition::Builtin {
            // One version of the API has many builds of the built-in server.
            let named = format!("{version}+{build_number}");
            version = named.parse().map_err(|e: version::VersionError| e.to_string())?;
        }
        Ok(Self {
            release: ReleaseId { version, edition },
            build_number,
            build_date: field("Build Date").unwrap_or_default().to_owned(),
            build_hash: field("Build Hash").unwrap_or_default().to_owned(),
            from_file: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn output(version: &str, build: &str, enterprise: &str) -> String {
        format!(
            "Version: {version}\nBuild Number: {build}\nBuild Date: Fri Aug 15 12:00:00 UTC 2025\nBuild Hash: {HASH}\nBuild Enterprise Ready: {enterprise}\n"
        )
    }

    #[test]
    fn the_output_of_many_versions_is_read() {
        let with_database = format!("{}DB Version: 5.37.0\n", output("5.37.10", "5.37.10", "false"));
        let with_logs = format!(
            "{{\"level\":\"info\",\"msg\":\"Version: 1.2.3 is not a line of its own\"}}\n{}",
            output("7.8.15", "7.8.15", "true")
        );
        let as_root =
            format!("WARN: running as root is not recommended\n{}", output("9.5.14", "9.5.14", "true"));
        let crlf = output("10.11.23", "10.11.23", "false").replace('\n', "\r\n");
        let builtin = format!("{}Edition: builtin\n", output("11.6.0", "0.1.0", "false"));
        for (printed, name) in [
            (with_database, "5.37.10-team"),
            (with_logs, "7.8.15-enterprise"),
            (as_root, "9.5.14-enterprise"),
            (crlf, "10.11.23-team"),
            (output("11.7.15", "11.7.15", "true"), "11.7.15-enterprise"),
            (output("11.6.0", "dev", "false"), "11.6.0-team"),
            (builtin, "11.6.0+0.1.0-builtin"),
        ] {
            let identity = Identity::parse(&printed).unwrap();
            assert_eq!(identity.release.to_string(), name);
            assert_eq!(identity.build_hash, HASH);
        }
    }

    #[test]
    fn an_error_says_which_line_is_missing() {
        for (printed, why) in [
            (String::new(), "no line \"Version"),
            ("mattermost 11.6.0\n".into(), "no line \"Version"),
            ("Version: 11.6\n".into(), "three numbers"),
            ("Version: 11.6.0\n".into(), "Build Enterprise Ready"),
            (format!("{}Edition: gold\n", output("1.2.3", "1", "false")), "gold"),
            (format!("{}Edition: builtin\n", output("1.2.3", "../..", "false")), "letters, digits and dots"),
        ] {
            let error = Identity::parse(&printed).unwrap_err();
            assert!(error.contains(why), "{printed}: {error}");
        }
    }
}
