//! The parameters of a request: in its path, its query string, and lists of ids in its body.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::app::App;
use crate::bounds::IDS_AT_ONCE;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::session::Caller;

/// The parameters in a request's path.
pub(crate) struct Params {
    values: Vec<(String, String)>,
    path: String,
}

impl FromRequestParts<App> for Params {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Params> {
        let path = parts.uri.path().to_owned();
        let raw =
            RawPathParams::from_request_parts(parts, app).await.map_err(|_| AppError::no_such_path(&path))?;
        let values = raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Params { values, path })
    }
}

impl Params {
    /// The text of parameter `name`.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The id in parameter `name`; 404 if it has characters that no id has, 400 if it has the wrong length.
    pub(crate) fn id(&self, name: &str) -> Result<Id> {
        let text = self.text(name);
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(AppError::no_such_path(&self.path));
        }
        Id::parse(text).ok_or_else(|| AppError::parameter(name))
    }

    /// The id in `user_id`, where `me` is the caller.
    pub(crate) fn user(&self, caller: &Caller) -> Result<Id> {
        match self.text("user_id") {
            "me" => caller.account().map(|user| user.id).ok_or_else(|| AppError::parameter("user_id")),
            _ => self.id("user_id"),
        }
    }
}

/// Parses a body's list of ids, which errors call `name`.
pub(super) fn parse_ids(texts: &[String], name: &str) -> Result<Vec<Id>> {
    if texts.is_empty() || texts.len() > IDS_AT_ONCE {
        return Err(AppError::body(name));
    }
    texts.iter().map(|text| Id::parse(text).ok_or_else(|| AppError::body(name))).collect()
}

/// `page` and `per_page` of a query string, limited to numbers that the database accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    pub(crate) page: i64,
    pub(crate) per_page: i64,
}

const DEFAULT_PER_PAGE: i64 = 60;
const MOST_PER_PAGE: i64 = 200;

impl Paging {
    pub(crate) fn offset(&self) -> i64 {
        self.page.saturating_mul(self.per_page)
    }
}

/// A query string, read as leniently as Mattermost does: a value that does not parse counts as absent.
pub(crate) struct Search(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Search {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Search> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Ok(Search(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }
}

impl Search {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).parse().ok()
    }

    /// Refuses with 501 if one of these parameters is set, because it would be ignored.
    pub(crate) fn refuse(&self, names: &[&str]) -> Result<()> {
        match names.iter().find(|name| !["", "false", "0"].contains(&self.text(name))) {
            Some(name) => Err(AppError::not_implemented(&format!("the parameter {name}"))),
            None => Ok(()),
        }
    }

    /// The id in `name`: `None` if absent, 400 if malformed.
    pub(crate) fn id(&self, name: &str) -> Result<Option<Id>> {
        match self.text(name) {
            "" => Ok(None),
            text => Id::parse(text).map(Some).ok_or_else(|| AppError::parameter(name)),
        }
    }

    pub(crate) fn paging(&self) -> Paging {
        let per_page = self.number("per_page").filter(|number| *number >= 0).unwrap_or(DEFAULT_PER_PAGE);
        Paging { page: self.number("page").unwrap_or(0).max(0), per_page: per_page.min(MOST_PER_PAGE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn search(query: &str) -> Option<Search> {
        let request = http::Request::builder().uri(format!("/x?{query}")).body(()).ok()?;
        Search::from_request_parts(&mut request.into_parts().0, &()).await.ok()
    }

    #[tokio::test]
    async fn paging_is_clamped_and_lenient() {
        for (query, page, per_page) in [
            ("", 0, 60),
            ("page=2&per_page=10", 2, 10),
            ("page=-3&per_page=1000", 0, 200),
            ("page=x&per_page=-1", 0, 60),
            ("page=9223372036854775807&per_page=200", i64::MAX, 200),
        ] {
            let paging = search(query).await.map(|search| search.paging());
            assert_eq!(paging.map(|p| (p.page, p.per_page)), Some((page, per_page)), "{query}");
            assert!(paging.is_some_and(|paging| paging.offset() >= 0));
        }
    }
}
