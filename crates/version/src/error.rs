//! Why a text is no version.

/// A text that is no version, and what a version looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not three numbers.
    #[error("{0:?}: a version is three numbers, as in 11.7.15")]
    Numbers(String),
    /// A build with other characters.
    #[error("{0:?}: what follows the + is letters, digits and dots")]
    Build(String),
    /// No major and minor number.
    #[error("`{0}` is no server version; allowed: MAJOR.MINOR or MAJOR.MINOR.PATCH, as in 11.7 or 11.7.15")]
    Series(String),
}
