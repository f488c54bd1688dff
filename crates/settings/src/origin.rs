//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from. Sources are ordered: what outranks the others holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "layer")]
pub enum Origin {
    /// The default in docker-mattermost.
    Default,
    /// A documented default that follows from another setting.
    Derived {
        /// That setting.
        from: String,
    },
    /// `secrets.toml`: generated once.
    Secrets,
    /// A line of `mainstay.toml`.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Made from several variables.
    Composed {
        /// Their names.
        from: Vec<String>,
    },
    /// An environment variable with a name of the table, or of a docker link.
    Variable {
        /// Its name.
        name: String,
        /// The file it names, where it is the `_FILE` variant.
        file: Option<PathBuf>,
    },
    /// An environment variable with the server's own name, `MM_SECTION_KEY`.
    ServerVariable {
        /// Its name.
        name: String,
        /// The file it names, where it is the `_FILE` variant.
        file: Option<PathBuf>,
    },
    /// The command line.
    Flag,
}

impl Origin {
    /// A variable that is not of the `_FILE` kind.
    pub(crate) fn variable(name: &str) -> Self {
        Self::Variable { name: name.to_owned(), file: None }
    }

    /// Its rank among the layers.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Derived { .. } => 1,
            Self::Secrets => 2,
            Self::File { .. } => 3,
            Self::Composed { .. } => 4,
            Self::Variable { .. } => 5,
            Self::ServerVariable { .. } => 6,
            Self::Flag => 7,
        }
    }

    /// Whether it was given by a person: not a default, not derived, not generated.
    pub fn is_given(&self) -> bool {
        self.rank() >= 3
    }

    /// Whether it is a variable of the environment, or made of some.
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Composed { .. } | Self::Variable { .. } | Self::ServerVariable { .. })
    }

    /// The place, for the beginning of a message that names the setting itself.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Variable { file, .. } | Self::ServerVariable { file, .. } => match file {
                Some(file) => format!("environment, file {}", file.display()),
                None => "environment".to_owned(),
            },
            Self::Composed { .. } => "environment".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("docker-mattermost's default"),
            Self::Derived { from } => write!(f, "follows from {from}"),
            Self::Secrets => f.write_str("secrets.toml"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Composed { from } => write!(f, "made of {}", from.join(", ")),
            Self::Variable { name, file } | Self::ServerVariable { name, file } => match file {
                Some(file) => write!(f, "{name}_FILE = {}", file.display()),
                None => write!(f, "environment variable {name}"),
            },
            Self::Flag => f.write_str("command line"),
        }
    }
}
