//! The calls of a plan, as data.

use std::fmt;

use serde::Serialize;

use crate::lease;
use crate::record::{Function, Object};

/// A call that changes something on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Copy what stands at a key to where bytes are kept, before it is replaced.
    Keep(Object),
    /// Store the archive of a function where bytes are kept: Lambda takes it from there, and so does a rollback.
    StoreCode { function: String, sha256: String, size: u64 },
    /// Write an object from the bundle.
    Write(Object),
    /// Copy kept bytes back to their key.
    Restore(Object),
    /// Make a function.
    Create(Function),
    /// Bring a function to what is wanted.
    Update(Function, Changes),
    /// Change which functions Mattermost may call.
    Policy { name: String, add: Vec<String>, remove: Vec<String> },
    /// Remove a function.
    DeleteFunction(String),
    /// Remove objects.
    DeleteObjects(Vec<String>),
}

/// What of a function changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) code: bool,
    pub(crate) configuration: bool,
    /// It was deployed by another tool, and is taken over.
    pub(crate) adopt: bool,
}

impl Changes {
    pub(crate) fn any(self) -> bool {
        self.code || self.configuration || self.adopt
    }
}

/// Calls that do not depend on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) title: &'static str,
    pub(crate) calls: Vec<Call>,
}

/// A call of AWS, as `--plan` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// As IAM policies name it, such as `lambda:CreateFunction`.
    pub action: String,
    /// The function, key or policy.
    pub on: String,
    /// What of it, in words; may be empty.
    pub detail: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, on, detail } = self;
        write!(f, "{action:<34} {on}")?;
        if detail.is_empty() { Ok(()) } else { write!(f, "  ({detail})") }
    }
}

impl Shown {
    pub(crate) fn new(action: &str, on: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { action: action.to_owned(), on: on.into(), detail: detail.into() }
    }
}

impl Call {
    /// Each call of AWS that this makes.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        match self {
            Self::Keep(object) => vec![Shown::new("s3:CopyObject", &object.key, "kept for a rollback")],
            Self::StoreCode { function, size, .. } => {
                vec![Shown::new("s3:PutObject", format!("the archive of {function}"), bytes(*size))]
            }
            Self::Write(object) => vec![Shown::new("s3:PutObject", &object.key, bytes(object.size))],
            Self::Restore(object) => vec![Shown::new("s3:CopyObject", &object.key, "as it was")],
            Self::Create(f) => {
                let detail = format!(
                    "{}, {}, {} s, {} MB, {}",
                    f.runtime, f.handler, f.timeout, f.memory, f.architecture
                );
                vec![Shown::new("lambda:CreateFunction", &f.lambda, detail)]
            }
            Self::Update(f, changes) => {
                let mut shown = Vec::new();
                if changes.adopt {
                    shown.push(Shown::new("lambda:TagResource", &f.lambda, "taken over from another tool"));
                }
                if changes.code {
                    shown.push(Shown::new("lambda:UpdateFunctionCode", &f.lambda, bytes(f.size)));
                }
                if changes.configuration {
                    let detail = format!("{}, {}, {} s, {} MB", f.runtime, f.handler, f.timeout, f.memory);
                    shown.push(Shown::new("lambda:UpdateFunctionConfiguration", &f.lambda, detail));
                }
                shown
            }
            Self::Policy { name, add, remove } => {
                let detail = format!(
                    "{} added, {} removed",
                    finding::counted(add.len(), "function", "functions"),
                    remove.len()
                );
                let lease = lease::key(name);
                vec![
                    Shown::new("s3:PutObject", &lease, "no other run changes the policy meanwhile"),
                    Shown::new("iam:CreatePolicyVersion", name, detail),
                    Shown::new("s3:DeleteObject", &lease, "other runs may change it again"),
                ]
            }
            Self::DeleteFunction(name) => vec![Shown::new("lambda:DeleteFunction", name, "")],
            Self::DeleteObjects(keys) => {
                keys.iter().map(|key| Shown::new("s3:DeleteObject", key, "")).collect()
            }
        }
    }
}

/// A size in words.
pub(crate) fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{} kB", size / 1_000),
        _ => format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000),
    }
}
