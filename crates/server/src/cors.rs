//! Requests from pages of other sites (`ServiceSettings.AllowCorsFrom`).

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::config::Config;

/// How long a browser may cache the answer to a preflight request, in seconds.
const MAX_AGE: &str = "86400";

const METHODS: &str = "POST, GET, OPTIONS, PUT, PATCH, DELETE";

/// The request's origin, if it is in the list. An empty list allows no origin.
pub(crate) fn allowed_origin(config: &Config, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    let mut list = config.service.allow_cors_from.split_whitespace();
    list.any(|one| one == "*" || one.eq_ignore_ascii_case(text)).then(|| origin.clone())
}

/// Whether this is a browser's preflight request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds the headers that allow the page at `origin` to read the answer.
pub(crate) fn add_headers(config: &Config, origin: HeaderValue, headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-csrf-token, x-requested-with");
    set(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if !config.service.cors_exposed_headers.is_empty() {
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &config.service.cors_exposed_headers);
    }
    if config.service.cors_allow_credentials {
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}
