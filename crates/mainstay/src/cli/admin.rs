//! `mainstay admin`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Change;

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make an administrator, also where nobody can sign up
    Create {
        /// The user name
        name: String,
        /// The mail address [default: NAME@localhost, or in the first accepted domain]
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        change: Change,
    },
    /// Set the password of an account; a lock by wrong passwords ends as well
    ResetPassword {
        /// The user name [default: the administrator that the installation made]
        name: Option<String>,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        change: Change,
    },
    /// End the lock of an account after too many wrong passwords
    Unlock {
        /// The user name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// List the administrators
    List,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// A file with the password ("-" reads it from stdin) [default: a new one, which is printed]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}
