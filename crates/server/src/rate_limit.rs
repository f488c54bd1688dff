//! How often a client may call (`RateLimitSettings`): so many requests a second for long, and a burst beyond that.
//!
//! Clients are told apart by their account, where the setting says so, and otherwise by their address, which only the edge is believed
//! about. A token that signs nobody in counts by the address: otherwise anybody could invent a new one for each request.
//! Each key has one time, the generic cell rate algorithm's, so that what is remembered of a client is small.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::cache::Cache;
use crate::config::RateLimit;

/// The longest value of the header that tells clients apart.
const HEADER: usize = 256;

/// The limits and the clients.
pub(crate) struct RateLimiter {
    settings: RateLimit,
    /// How long one request takes of what is allowed.
    interval: Duration,
    clients: Cache<String, Arc<Mutex<Option<Instant>>>>,
}

/// What a client may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    limit: u32,
    remaining: u32,
    /// Until everything is allowed again.
    reset: Duration,
    /// Until the next request is allowed, if this one is not.
    retry_after: Option<Duration>,
}

impl RateLimiter {
    /// `None` if the setting is off.
    pub(crate) fn new(settings: &RateLimit) -> Option<RateLimiter> {
        let per_second = u32::try_from(settings.per_sec).unwrap_or(u32::MAX).max(1);
        settings.enable.then(|| RateLimiter {
            settings: settings.clone(),
            interval: Duration::from_secs(1) / per_second,
            clients: Cache::new(usize::try_from(settings.memory_store_size).unwrap_or(usize::MAX)),
        })
    }

    /// Whether an account is asked for before [`RateLimiter::key`].
    pub(crate) fn needs_account(&self) -> bool {
        self.settings.vary_by_user
    }

    /// What tells a client apart: its account or address, and a header.
    pub(crate) fn key(&self, account: Option<&str>, address: &str, headers: &HeaderMap) -> String {
        let mut key = match account.filter(|_| self.settings.vary_by_user) {
            Some(account) => account.to_owned(),
            None if self.settings.vary_by_remote_addr => address.to_owned(),
            None => String::new(),
        };
        let name = self.settings.vary_by_header.trim();
        if !name.is_empty()
            && let Some(value) = headers.get(name).and_then(|value| value.to_str().ok())
        {
            key.push('\n');
            key.extend(value.chars().take(HEADER).flat_map(char::to_lowercase));
        }
        key
    }

    /// Counts a request of the client `key` at `now`.
    pub(crate) fn count(&self, key: String, now: Instant) -> Allowance {
        let limit = u32::try_from(self.settings.max_burst).unwrap_or(u32::MAX).saturating_add(1);
        let tolerance = self.interval.saturating_mul(limit);
        let client = self.clients.get_or_put(key, Arc::default);
        let mut full = client.lock().unwrap_or_else(PoisonError::into_inner);
        // What was used of the tolerance.
        let used = full.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        let next = used + self.interval;
        if next > tolerance {
            let retry_after = Some(next - tolerance);
            return Allowance { limit, remaining: 0, reset: used, retry_after };
        }
        *full = Some(now + next);
        let left = (tolerance - next).as_nanos() / self.interval.as_nanos().max(1);
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        Allowance { limit, remaining, reset: next, retry_after: None }
    }
}

impl Allowance {
    /// The answer to a request that is too many.
    pub(crate) fn refusal(&self) -> Option<Response> {
        self.retry_after?;
        let mut response = "limit exceeded\n".into_response();
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Some(response)
    }

    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        let seconds = |time: Duration| u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        let mut set = |name: HeaderName, value: u64| {
            headers.insert(name, HeaderValue::from(value));
        };
        set(HeaderName::from_static("x-ratelimit-limit"), u64::from(self.limit));
        set(HeaderName::from_static("x-ratelimit-remaining"), u64::from(self.remaining));
        set(HeaderName::from_static("x-ratelimit-reset"), seconds(self.reset));
        if let Some(time) = self.retry_after {
            set(header::RETRY_AFTER, seconds(time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(change: impl FnOnce(&mut RateLimit)) -> RateLimiter {
        let mut settings = RateLimit { enable: true, per_sec: 10, max_burst: 2, ..RateLimit::default() };
        change(&mut settings);
        RateLimiter::new(&settings).expect("it is on")
    }

    #[test]
    fn a_burst_is_allowed_and_then_so_many_a_second() {
        let limiter = limiter(|_| ());
        let start = Instant::now();
        let at = |millis: u64| limiter.count("a".to_owned(), start + Duration::from_millis(millis));
        assert_eq!([at(0).remaining, at(0).remaining, at(0).remaining], [2, 1, 0]);
        let refused = at(0);
        assert_eq!((refused.retry_after, refused.limit), (Some(Duration::from_millis(100)), 3));
        assert!(
            at(99).retry_after.is_some() && at(100).retry_after.is_none() && at(101).retry_after.is_some()
        );
        assert_eq!(at(60_000).remaining, 2, "after a while everything is allowed again");
        assert_eq!(limiter.count("b".to_owned(), start).remaining, 2, "another client");
    }

    #[test]
    fn clients_are_told_apart_as_the_settings_say() {
        let mut headers = HeaderMap::new();
        headers.insert("x-app", HeaderValue::from_static("One"));
        let key = |change: fn(&mut RateLimit), account| limiter(change).key(account, "1.2.3.4", &headers);
        assert_eq!(key(|_| (), Some("ada")), "1.2.3.4");
        assert_eq!(key(|s| s.vary_by_user = true, Some("ada")), "ada");
        assert_eq!(key(|s| s.vary_by_user = true, None), "1.2.3.4");
        assert_eq!(key(|s| s.vary_by_remote_addr = false, None), "");
        assert_eq!(key(|s| s.vary_by_header = "X-App".to_owned(), None), "1.2.3.4\none");
        assert_eq!(key(|s| s.vary_by_header = "not a header!".to_owned(), None), "1.2.3.4");
    }

    #[test]
    fn switched_off_it_is_not_there() {
        assert!(RateLimiter::new(&RateLimit::default()).is_none());
    }
}
