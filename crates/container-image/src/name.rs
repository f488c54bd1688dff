//! Image names.

use oci::Reference;
use release::ReleaseId;

use crate::error::Error;

/// Reads a name that somebody gave.
///
/// # Errors
/// It is not an image name; the error says which rule it breaks.
pub fn parse_name(text: &str) -> Result<Reference, Error> {
    Ok(text.parse::<Reference>()?)
}

/// The name of a release's image: `mattermost:11.7.15-team`. A tag cannot contain `+`, so `_` replaces it, as in Helm's charts.
///
/// # Errors
/// The release's name cannot be a tag.
pub fn default_name(release: &ReleaseId) -> Result<Reference, Error> {
    parse_name(&format!("mattermost:{}", release.to_string().replace('+', "_")))
}

/// The short form that people and `docker images` use: without the default host and path.
pub fn familiar(name: &Reference) -> String {
    let full = name.to_string();
    let short = full.strip_prefix("docker.io/").unwrap_or(&full);
    short.strip_prefix("library/").unwrap_or(short).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_after_its_release() {
        for (release, name) in [
            ("11.7.15-team", "mattermost:11.7.15-team"),
            ("11.6.0+0.1.0-builtin", "mattermost:11.6.0_0.1.0-builtin"),
        ] {
            let release: ReleaseId = release.parse().expect("a release");
            assert_eq!(familiar(&default_name(&release).expect("a tag")), name);
        }
        let elsewhere = parse_name("ghcr.io/team/chat:1").expect("a name");
        assert_eq!(familiar(&elsewhere), "ghcr.io/team/chat:1");
    }
}
