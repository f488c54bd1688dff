//! What outlives a version: journals, and what is in them.

mod actions;
mod runner;
