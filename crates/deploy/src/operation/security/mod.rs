//! `security`: which fixes a deployment lacks, what is read to know that, what begins by itself, and who is told.

pub(crate) mod look;
mod news;
mod tell;
pub(crate) mod update;
pub(crate) mod watch;
