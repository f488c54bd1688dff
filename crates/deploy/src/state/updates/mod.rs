//! What is known of security fixes and of updates that began by themselves.

pub(crate) mod knowledge;
pub(crate) mod record;
pub(crate) mod timetable;
