//! A site URL with a path, such as `https://example.com/chat`: the whole server is below that path, and `/` leads to it.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::Uri;
use http::uri::PathAndQuery;
use tower::ServiceExt as _;
use url::Url;

use crate::error::AppError;

/// The path of the site URL without a slash at its end; empty for a site at `/`.
pub(crate) fn of(site_url: &str) -> String {
    Url::parse(site_url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// `router`, below the path of the site URL.
pub(crate) fn below(site_url: &str, router: Router) -> Router {
    let path = of(site_url);
    if path.is_empty() {
        return router;
    }
    Router::new().fallback(answer).with_state((path, router))
}

async fn answer(State((path, router)): State<(String, Router)>, mut request: Request) -> Response {
    let Some(inside) = inside(&path, request.uri()) else {
        return match request.uri().path() {
            "/" => Redirect::temporary(&format!("{path}/")).into_response(),
            _ => AppError::no_such_path(request.uri().path()).into_response(),
        };
    };
    *request.uri_mut() = inside;
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The address inside the server; `None` outside `path`.
fn inside(path: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query().map(PathAndQuery::as_str)?.strip_prefix(path)?;
    let rest = match rest.chars().next() {
        None => "/".to_owned(),
        Some('/') => rest.to_owned(),
        Some('?') => format!("/{rest}"),
        Some(_) => return None,
    };
    rest.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_below_the_path_and_beside_it() {
        let inside =
            |uri: &str| inside("/chat", &uri.parse().expect("an address")).map(|uri| uri.to_string());
        assert_eq!(inside("/chat").as_deref(), Some("/"));
        assert_eq!(inside("/chat/").as_deref(), Some("/"));
        assert_eq!(inside("/chat?a=1").as_deref(), Some("/?a=1"));
        assert_eq!(inside("/chat/api/v4/users?a=/chat").as_deref(), Some("/api/v4/users?a=/chat"));
        assert_eq!(inside("/chatter"), None);
        assert_eq!(inside("/"), None);
        assert_eq!(of("https://example.com/a/b/"), "/a/b");
        assert_eq!(of("https://example.com"), "");
    }
}
