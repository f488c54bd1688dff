//! The table at work, through the crate's public face alone.

mod golden;
mod properties;
mod said;
