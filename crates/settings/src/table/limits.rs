//! How often the API may be called.

use super::Area;
use crate::kind::Kind;
use crate::row::{Row, at, row};

pub(super) const AREA: Area = Area { title: "Rate limit", rows: ROWS };

const COUNT: Kind = Kind::Int(1, i32::MAX as i64);

const ROWS: &[Row] = &[
    row("MATTERMOST_ENABLE_RATE_LIMIT", Kind::Bool, "Refuse callers who ask too often")
        .places(&[
            at("RateLimitSettings", "EnableRateLimiter").until(3, 5),
            at("RateLimitSettings", "Enable").since(3, 5),
        ])
        .then("true")
        .now("false"),
    row("MATTERMOST_RATE_LIMIT_QPS", COUNT, "Requests a second that a caller may make")
        .places(&[at("RateLimitSettings", "PerSec")])
        .always("10"),
    row("MATTERMOST_RATE_LIMIT_SESSIONS", COUNT, "Callers that are told apart at a time")
        .places(&[at("RateLimitSettings", "MemoryStoreSize")])
        .always("10000"),
    row("MATTERMOST_RATE_LIMIT_BY_IP", Kind::Bool, "Tell callers apart by their address")
        .places(&[at("RateLimitSettings", "VaryByRemoteAddr")])
        .always("true"),
    row("MATTERMOST_RATE_LIMIT_HEADERS", Kind::Text, "Tell callers apart by this HTTP header")
        .places(&[at("RateLimitSettings", "VaryByHeader")])
        .now("none"),
];
