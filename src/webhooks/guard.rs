//! Whom a webhook may reach: the public internet, and what a setting allows beside it.
//!
//! An address is judged when it is entered and again each time that it is connected to. A name is judged by the addresses that the
//! connection is then made to, so that a name cannot mean one thing when it is looked at and another when it is used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::address::{canonical, not_public};
use crate::domain::issue::Invalid;
use crate::domain::webhook::MAX_URL;

/// Networks that may be reached although they are not of the public internet.
#[derive(Clone, Debug, Default)]
pub struct Allowed(Arc<[IpNet]>);

/// An address that is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address is {0}, which PLIMSOLL_WEBHOOK_ALLOW_PRIVATE does not allow")]
pub struct Refused(&'static str);

impl Allowed {
    /// These networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }

    /// Whether an address may be reached.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refused> {
        let reached = canonical(address);
        match not_public(address) {
            Some(what) if !self.0.iter().any(|network| network.contains(&reached)) => Err(Refused(what)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The address of an endpoint, or why it can be none. An address in numbers is judged; so is a name that always means this machine.
pub fn checked_url(text: &str, allowed: &Allowed) -> Result<Url, Invalid> {
    let form = || Invalid::new("must be an http or https URL of a host, without a user, a password or a fragment");
    if text.len() > MAX_URL {
        return Err(Invalid::new(format!("must have at most {MAX_URL} bytes")));
    }
    // The parser would take them out or encode them; what is kept is what was written.
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(form());
    }
    let url = Url::parse(text).map_err(|_| form())?;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_credentials || url.fragment().is_some() {
        return Err(form());
    }
    let host = url.host_str().ok_or_else(form)?;
    let addresses = addresses_of(host);
    let refused: Vec<Refused> = addresses.iter().filter_map(|address| allowed.judge(*address).err()).collect();
    match refused.first() {
        // Of a name with two addresses, one that may be reached is enough.
        Some(refused_first) if refused.len() == addresses.len() => {
            Err(Invalid::new(format!("must not be reached: {refused_first}")))
        }
        Some(_) | None => Ok(url),
    }
}

/// The addresses that a host means without asking anybody.
fn addresses_of(host: &str) -> Vec<IpAddr> {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    let is_local = host == "localhost" || host.ends_with(".localhost");
    match host.parse() {
        Ok(address) => vec![address],
        Err(_) if is_local => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Err(_) => Vec::new(),
    }
}

/// Resolves names to addresses that may be reached, and to no others.
pub(super) struct Guarded(pub(super) Allowed);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let refused = found.iter().find_map(|address| allowed.judge(address.ip()).err());
            let reachable: Vec<SocketAddr> = found.into_iter().filter(|address| allowed.judge(address.ip()).is_ok()).collect();
            match refused {
                Some(refused) if reachable.is_empty() => Err(refused.into()),
                Some(_) | None => Ok(Box::new(reachable.into_iter()) as Addrs),
            }
        })
    }
}
