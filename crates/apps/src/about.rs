//! Whose app a manifest describes: two apps may have the same id.

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;

/// What a manifest says of whose app it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The name that people see.
    pub display_name: String,
    /// The address about the app.
    pub homepage_url: String,
}

impl About {
    /// Whose app the manifest describes.
    pub fn of(manifest: &Manifest) -> Self {
        Self { display_name: manifest.display_name.clone(), homepage_url: manifest.homepage_url.clone() }
    }

    /// Two apps of one id, in words, if `new` is another app than `self`: its homepage is on another host. `versions` are those of `self` and
    /// `new`.
    pub fn replaced_by(&self, new: &Self, versions: [&str; 2]) -> Option<String> {
        let is_another = self.host()? != new.host()?;
        is_another.then(|| {
            let [old, new] = [self.named(versions[0]), new.named(versions[1])];
            format!("another app of this id: {old}; the new one is {new}")
        })
    }

    fn host(&self) -> Option<String> {
        let url = url::Url::parse(&self.homepage_url).ok()?;
        Some(url.host_str()?.trim_start_matches("www.").to_owned())
    }

    fn named(&self, version: &str) -> String {
        let line = |text: &str| finding::one_line(text, 80);
        format!("`{}` {version} ({})", line(&self.display_name), line(&self.homepage_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_app_has_its_homepage_on_another_host() {
        let about = |homepage: &str| About { display_name: "Hello".into(), homepage_url: homepage.into() };
        let old = about("https://example.com/hello");
        for same in ["https://example.com", "http://www.example.com/elsewhere", "https://EXAMPLE.com:8443/"] {
            assert_eq!(old.replaced_by(&about(same), ["1.0.0", "2.0.0"]), None, "{same}");
        }
        let other = old.replaced_by(&about("https://example.org/hello"), ["1.0.0", "2.0.0"]).unwrap();
        assert!(other.contains("`Hello` 1.0.0 (https://example.com/hello)"), "{other}");
    }
}
