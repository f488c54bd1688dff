//! `mainstay verify`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Any Mattermost [default: this deployment]
    #[arg(long, value_name = "URL", value_parser = site_address)]
    pub url: Option<Url>,
    /// Connect here in plain HTTP while speaking as the URL
    #[arg(long, value_name = "ADDR:PORT")]
    pub via: Option<SocketAddr>,
    /// A file with a system administrator's token, for a server with closed sign-up ("-" reads it from stdin)
    #[arg(long, value_name = "FILE")]
    pub admin_token: Option<PathBuf>,
    /// Also leave the websockets silent for so long, to find a proxy that cuts them
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub idle: Option<u64>,
    /// Drive the web client in Chromium as well
    #[arg(long)]
    pub browser: bool,
    /// Where the browser's screenshots go
    #[arg(long, value_name = "DIR", requires = "browser")]
    pub screenshots: Option<PathBuf>,
    /// Leave the accounts and the team behind
    #[arg(long)]
    pub keep: bool,
    /// Write the report as Markdown
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// The address of a site, as people type it.
pub(super) fn site_address(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => Ok(url),
        // `chat.example.com:8065` is read as a URL with the scheme `chat.example.com`.
        _ if !text.contains("://")
            && Url::parse(&format!("https://{text}")).is_ok_and(|url| url.has_host()) =>
        {
            Err(format!("it must begin with https:// or http://: `https://{text}`"))
        }
        Ok(url) => Err(format!("`{}://` cannot be tested; allowed: https://, http://", url.scheme())),
        Err(error) => Err(format!("{error}; it must look like https://chat.example.com")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_gets_one_suggested() {
        let wrong = |text: &str| site_address(text).expect_err(text);
        for bare in [
            "chat.example.com",
            "chat.example.com:8443",
            "localhost:8065",
            "192.0.2.1",
            "chat.example.com/sub",
        ] {
            assert_eq!(wrong(bare), format!("it must begin with https:// or http://: `https://{bare}`"));
        }
        assert!(wrong("ftp://chat.example.com").contains("`ftp://` cannot be tested"));
        assert!(wrong("https://").contains("it must look like"));
        assert!(site_address("http://[::1]:8065/sub").is_ok());
    }
}
