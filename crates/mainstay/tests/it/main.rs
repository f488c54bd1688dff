//! The real binary, in real directories, on real ports. One executable: one link step.

mod bad_input;
mod browser;
mod clients;
mod container;
mod crash;
mod docker;
mod external;
mod flood;
mod golden;
mod image;
mod lifecycle;
mod ownership;
mod place;
mod postgres_image;
mod promises;
mod session;
