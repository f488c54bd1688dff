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
    /// Make an account an administrator
    Promote(Named),
    /// Take the administrator's role from an account
    Demote(Named),
    /// Let an account sign in that was deactivated
    #[command(visible_alias = "reactivate")]
    Activate(Named),
    /// Let an account sign in no more; what it wrote stays
    Deactivate(Named),
    /// List the administrators: name, mail address, role, and what keeps them from signing in
    List {
        /// Every account, not the administrators alone
        #[arg(long)]
        all: bool,
    },
}

/// An account, and how it is changed.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The user name
    pub name: String,
    #[command(flatten)]
    pub change: Change,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// A file with the password ("-" reads it from stdin) [default: a new one, which is printed]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}
