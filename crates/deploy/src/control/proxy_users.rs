//! The users of this machine that its load balancers run as.

use edge::LocalProxies;

use crate::error::Error;

/// The word for every user of the machine.
const EVERYBODY: &str = "everybody";

/// The users of this machine whose programs may be load balancers.
///
/// # Errors
/// One of them does not exist.
pub(crate) fn local_proxies(users: Option<&[String]>) -> Result<LocalProxies, Error> {
    let Some(users) = users else { return Ok(LocalProxies::Services) };
    if users.iter().any(|user| user == EVERYBODY) {
        return Ok(LocalProxies::Everybody);
    }
    let ids = users.iter().map(|name| host::User::named(name).map(|user| user.uid));
    Ok(LocalProxies::Users(ids.collect::<Result<_, _>>()?))
}
