//! What a deployment is to be: `mainstay.toml` and the command line, every value decided.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use host::Listen;
use settings::{Origin, Resolved, Wanted};
use url::Url;

use crate::control::protocol::EdgeSpec;
use crate::control::proxy_users::local_proxies;
use crate::error::{Error, Exit};
use crate::place::Place;
use crate::place::layout::Layout;
use crate::place::machine::host_name;
use crate::state::server_user::default_user;

/// Where the edge answers unless told otherwise: this machine alone, at Mattermost's own port.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8065);

/// Loopback, and the networks that no public address is in (RFC 1918, RFC 4193).
const PRIVATE: [&str; 6] =
    ["127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// What a deployment is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The release line.
    pub edition: release::Edition,
    /// The version, if a certain one is wanted.
    pub version: Option<String>,
    /// Where the edge answers.
    pub listen: SocketAddr,
    /// The address people type.
    pub site_url: Url,
    /// The user that the server runs as; `None` = the user that runs the agent.
    pub user: Option<String>,
    /// Networks of load balancers, if given; see [`Desired::edge`].
    pub proxies: Option<Vec<String>>,
    /// Users of this machine whose programs may be load balancers, if given.
    pub proxy_users: Option<Vec<String>>,
    /// Networks that many people share.
    pub shared: Vec<String>,
    /// What file and command line say.
    pub wanted: Wanted,
    /// Whether config.json gets the site URL. In a container without one, the default would lock out everyone who uses
    /// another address.
    pub tells_site_url: bool,
}

/// What this machine is, as far as defaults depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Whether this process may become other users.
    pub root: bool,
    /// The user that the server runs as where root names none.
    pub user: String,
    /// The machine's name.
    pub host_name: String,
    /// Where the edge answers by default.
    pub listen: SocketAddr,
    /// Whether it is a container.
    pub container: bool,
}

impl Machine {
    /// This machine, for a deployment in `layout`; `root` says whether its server may run as another user.
    pub(crate) fn here(layout: &Layout, root: bool) -> Self {
        if layout.place() == Place::Container {
            // People use the host's name and not the container's, and no process here is root.
            let listen = Listen { address: None, port: 80 }.socket_addr();
            let (host_name, user) = ("localhost".to_owned(), String::new());
            return Self { root: false, user, host_name, listen, container: true };
        }
        // Only root chooses a user, and it takes a look at the machine's.
        let user = if root { default_user(layout) } else { String::new() };
        Self { root, user, host_name: host_name(), listen: DEFAULT_LISTEN, container: false }
    }
}

impl Desired {
    /// Decides every value.
    ///
    /// `file` is what `mainstay.toml` says; `flags` are keys of that file given on the command line.
    ///
    /// # Errors
    /// A flag does not suit its key; `user` is given and this process is not root.
    pub fn decide(file: &Wanted, flags: &BTreeMap<&str, String>, machine: &Machine) -> Result<Self, Error> {
        let mut wanted = file.clone();
        for (key, value) in flags {
            wanted = wanted.with(key, value).map_err(|problem| Error::new(Exit::Usage, problem))?;
        }
        let listen = wanted.get("listen").and_then(|listen| listen.parse::<Listen>().ok());
        let listen = listen.map_or(machine.listen, |listen| listen.socket_addr());
        let tells_site_url = !machine.container || wanted.get("site_url").is_some();
        let site_url = match wanted.get("site_url").map(str::to_owned) {
            Some(url) => url,
            None => default_site_url(listen, &machine.host_name),
        };
        let site_url = Url::parse(&site_url)
            .map_err(|error| Error::new(Exit::Usage, format!("`{site_url}`: {error}")))?;
        let edition = wanted.get("edition").unwrap_or("builtin");
        let edition =
            edition.parse().map_err(|error| Error::new(Exit::Settings, format!("`edition`: {error}")))?;
        let wrong = wanted.get("version").and_then(|version| wrong_version(edition, version));
        if let Some(error) = wrong {
            let exit = if flags.contains_key("version") { Exit::Usage } else { Exit::Settings };
            return Err(Error::new(exit, format!("`version`: {error}")));
        }
        let user = match (wanted.get("user"), machine.root) {
            (Some(user), true) => Some(user.to_owned()),
            (None, true) => Some(machine.user.clone()),
            (None, false) => None,
            (Some(user), false) => {
                return Err(Error::new(Exit::Usage, format!("only root can run the server as `{user}`"))
                    .hint("leave `user` out, or run this as root"));
            }
        };
        Ok(Self {
            edition,
            version: wanted.get("version").map(str::to_owned),
            listen,
            site_url,
            user,
            proxies: None,
            proxy_users: None,
            shared: Vec::new(),
            wanted,
            tells_site_url,
        })
    }

    /// The site URL as the server's settings have it: without a slash at its end.
    pub fn site_url_text(&self) -> &str {
        self.site_url.as_str().trim_end_matches('/')
    }

    /// How the edge answers. A load balancer with TLS is usually in the same private network. One in another network must be
    /// named; until then the edge takes the load balancer's address for its clients'.
    pub fn edge(&self) -> EdgeSpec {
        let https = self.site_url.scheme() == "https";
        let usual = || if https { PRIVATE.map(str::to_owned).to_vec() } else { Vec::new() };
        let proxies = self.proxies.clone().unwrap_or_else(usual);
        let (shared, proxy_users) = (self.shared.clone(), self.proxy_users.clone());
        // A whole number, which its row has checked.
        let hold = self.wanted.get("edge.hold").and_then(|seconds| seconds.parse().ok());
        EdgeSpec { listen: self.listen, https, proxies, shared, proxy_users, hold }
    }

    /// The same with what the environment gives, which outranks the file: the site URL, the load balancers and the shared addresses.
    ///
    /// # Errors
    /// The site URL is no URL.
    pub fn given(mut self, resolved: &Resolved) -> Result<Self, Error> {
        let setting = resolved.setting("ServiceSettings", "SiteURL");
        let given = setting.filter(|setting| setting.origin().is_some_and(Origin::is_given));
        if let Some(url) = given.and_then(|setting| setting.value()?.as_str()).filter(|url| !url.is_empty()) {
            self.site_url =
                Url::parse(url).map_err(|error| Error::new(Exit::Settings, format!("`{url}`: {error}")))?;
            self.tells_site_url = true;
        }
        let networks = |name: &str| {
            let text = resolved.input(name)?.value.as_str()?;
            Some(text.split(", ").filter(|one| *one != "none").map(str::to_owned).collect())
        };
        self.proxies = networks("MATTERMOST_TRUSTED_PROXIES");
        self.proxy_users = proxy_users(resolved)?;
        self.shared = networks("MATTERMOST_SHARED_ADDRESSES").unwrap_or_default();
        Ok(self)
    }
}

/// The users of this machine that run its load balancer, if given.
///
/// # Errors
/// One of them does not exist.
fn proxy_users(resolved: &Resolved) -> Result<Option<Vec<String>>, Error> {
    let Some(input) = resolved.input("MATTERMOST_TRUSTED_PROXY_USERS") else { return Ok(None) };
    let names = input.value.as_str().unwrap_or_default().split(',').map(|name| name.trim().to_owned());
    let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    local_proxies(Some(&names)).map_err(|error| {
        let what = format!("{}: `trusted_proxy_users`: {}", input.origin, error.what);
        Error::new(Exit::Settings, what)
            .hint("name the user that the load balancer runs as; nothing has been changed")
    })?;
    Ok(Some(names))
}

/// The site URL when none is given: `localhost` for a loopback address, the machine's name for a wildcard address.
pub fn default_site_url(listen: SocketAddr, host_name: &str) -> String {
    let host = Listen::from(listen).url_host(host_name);
    match listen.port() {
        80 => format!("http://{host}"),
        port => format!("http://{host}:{port}"),
    }
}

/// The address at which the edge can be reached from this machine.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    Listen::from(listen).reachable()
}

/// What is wrong with a version. The official editions also have channels: the newest release of a line, the newest extended one.
fn wrong_version(edition: release::Edition, text: &str) -> Option<String> {
    match edition {
        release::Edition::Builtin => text.parse::<version::Version>().err().map(|error| error.to_string()),
        _ => text.parse::<release::Channel>().err().map(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(root: bool) -> Machine {
        let (user, host_name) = ("mainstay-chat".to_owned(), "chat-1".to_owned());
        Machine { root, user, host_name, listen: DEFAULT_LISTEN, container: false }
    }

    fn decide(flags: &[(&'static str, &str)], root: bool) -> Result<Desired, Error> {
        let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Desired::decide(&Wanted::default(), &flags, &machine(root))
    }

    #[test]
    fn the_site_url_follows_the_listen_address() {
        let url = |listen| {
            decide(&[("listen", listen)], false).map(|d| d.site_url_text().to_owned()).expect("valid")
        };
        assert_eq!(url("127.0.0.1:9000"), "http://localhost:9000");
        assert_eq!(url("127.0.0.2:9000"), "http://127.0.0.2:9000");
        assert_eq!(url("[::1]:80"), "http://localhost");
        for every in ["0.0.0.0:8065", "[::]:8065", ":8065", "8065"] {
            assert_eq!(url(every), "http://chat-1:8065");
        }
        assert_eq!(url("192.0.2.1:8065"), "http://192.0.2.1:8065");
        assert_eq!(url("[2001:db8::1]:8065"), "http://[2001:db8::1]:8065");
    }

    #[test]
    fn a_container_answers_everywhere_and_tells_the_server_only_what_somebody_said() {
        let machine = Machine::here(&Layout::container(), true);
        let bare = Desired::decide(&Wanted::default(), &BTreeMap::new(), &machine).expect("valid");
        let told = (bare.site_url_text(), bare.tells_site_url);
        assert_eq!((bare.listen.to_string().as_str(), told), ("[::]:80", ("http://localhost", false)));
        assert_eq!(bare.user, None);
        let flags = [("site_url", "https://chat.example.com".to_owned())].into();
        assert!(Desired::decide(&Wanted::default(), &flags, &machine).expect("valid").tells_site_url);
    }

    #[test]
    fn only_root_changes_users() {
        assert_eq!(decide(&[], true).expect("valid").user.as_deref(), Some("mainstay-chat"));
        assert_eq!(decide(&[], false).expect("valid").user, None);
        assert_eq!(decide(&[("user", "x")], false).expect_err("must be refused").exit, Exit::Usage);
    }

    #[test]
    fn a_version_that_is_none_is_a_mistake_of_whoever_gives_it() {
        let error = decide(&[("version", "11.7")], false).expect_err("no version");
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.what.contains("`version`") && error.what.contains("three numbers"), "{error}");
        for (version, valid) in
            [("11.7", true), ("esr", true), ("11.7.15", true), ("11", false), ("newest", false)]
        {
            let decided = decide(&[("edition", "team"), ("version", version)], false);
            assert_eq!(decided.is_ok(), valid, "{version}");
        }
        let file = Wanted::default().with_in_file("version", "newest").expect("a text");
        let error = Desired::decide(&file, &BTreeMap::new(), &machine(false)).expect_err("no version");
        assert_eq!(error.exit, Exit::Settings);
    }

    #[test]
    fn a_flag_is_checked_like_the_file() {
        let error = decide(&[("site_url", "chat.example.com")], true).expect_err("no scheme");
        assert!(error.what.contains("https://chat.example.com"), "{error}");
    }
}
