//! Versions of database servers.

use std::fmt;

/// Who made the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    /// PostgreSQL.
    Postgres,
    /// Oracle's MySQL, and what says that it is.
    MySql,
    /// MariaDB, which Mattermost never supported though it worked.
    MariaDb,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// A version. PostgreSQL has two numbers since 10: `patch` is then 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 15 of 15.3; 10 of 10.11.6.
    pub major: u32,
    /// 11 of 10.11.6; 3 of 15.3.
    pub minor: u32,
    /// 6 of 10.11.6.
    pub patch: u32,
}

impl Version {
    /// From PostgreSQL's `server_version_num`: 150003 is 15.3, 90624 is 9.6.24.
    pub fn of_postgres(number: u32) -> Self {
        let (major, rest) = (number / 10_000, number % 10_000);
        if major < 10 {
            return Self { major, minor: rest / 100, patch: rest % 100 };
        }
        Self { major, minor: rest, patch: 0 }
    }

    /// From MySQL's `version()`: `8.0.36-0ubuntu0`, `10.11.6-MariaDB-1`, `5.5.5-10.3.2-MariaDB`. The last is how MariaDB
    /// answers old replicas. None when there is no number in it.
    pub fn of_mysql(text: &str) -> Option<(Product, Self)> {
        let product =
            if text.to_ascii_lowercase().contains("mariadb") { Product::MariaDb } else { Product::MySql };
        let text =
            if product == Product::MariaDb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse);
        let major = numbers.next()?.ok()?;
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
        Some((product, Self { major, minor: next(), patch: next() }))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        write!(f, "{major}.{minor}")?;
        if *patch > 0 { write!(f, ".{patch}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_servers_write_them() {
        for (number, text) in [(150_020, "15.20"), (140_000, "14.0"), (90_624, "9.6.24")] {
            assert_eq!(Version::of_postgres(number).to_string(), text);
        }
        for (given, product, text) in [
            ("8.0.36-0ubuntu0.22.04.1", Product::MySql, "8.0.36"),
            ("5.7.44-log", Product::MySql, "5.7.44"),
            ("10.11.19-MariaDB-0+deb12u1", Product::MariaDb, "10.11.19"),
            ("5.5.5-10.3.2-MariaDB", Product::MariaDb, "10.3.2"),
        ] {
            let (found, version) = Version::of_mysql(given).unwrap();
            assert_eq!((found, version.to_string().as_str()), (product, text));
        }
        assert_eq!(Version::of_mysql("unknown"), None);
        assert!(Version::of_postgres(90_624) < Version::of_postgres(100_000));
    }
}
