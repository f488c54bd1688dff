//! The real binary, in real directories, on real ports. One executable: one link step.

mod bad_input;
mod browser;
mod clients;
mod container;
mod crash;
mod external;
mod docker;
mod flood;
mod image;
mod lifecycle;
mod place;
mod postgres_image;
mod promises;
