//! The acceptance test against servers that are well and servers that are not.

mod browser;
mod builtin;
mod miniature;
mod mutation;
mod proxy;
mod walk;
