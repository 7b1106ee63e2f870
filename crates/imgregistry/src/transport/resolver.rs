//! Looking up names that a server gave, and dropping the addresses that such a name must not have.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{TransportError, TransportErrorKind};
use crate::protocol::address::{Class, Rules};

/// Looks names up as the system does, and keeps what the rules allow.
///
/// A check of the name alone would be of no use: whoever owns a domain may point it to `127.0.0.1`.
#[derive(Debug)]
pub(super) struct CheckedResolver(pub(super) Rules);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = allowed(found, rules)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Returns the addresses that may be connected to; an error when there are only others.
fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    rules: Rules,
) -> Result<Vec<SocketAddr>, TransportError> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in found {
        match rules.check_resolved(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if allowed.is_empty() => Err(TransportError::new(
            TransportErrorKind::Forbidden,
            error.to_string(),
        )),
        _ => Ok(allowed),
    }
}

/// Returns whether everything that a host's name stands for is on a private network. A name that is not looked up is
/// taken for one that is not.
pub(super) async fn is_private(url: &Url, looks_up: bool) -> bool {
    let is_private = |class: Class| class == Class::Private;
    match url.host() {
        Some(Host::Ipv4(address)) => is_private(Class::of(address.into())),
        Some(Host::Ipv6(address)) => is_private(Class::of(address.into())),
        Some(Host::Domain(name)) if looks_up => match tokio::net::lookup_host((name, 0)).await {
            Ok(found) => {
                let found: Vec<_> = found.collect();
                let all = found
                    .iter()
                    .all(|address| is_private(Class::of(address.ip())));
                all && !found.is_empty()
            }
            Err(_) => false,
        },
        Some(Host::Domain(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_addresses_are_dropped_and_nothing_else() {
        let check = |found: &[&str], expected: Result<&[&str], &str>| {
            let parse = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let result = allowed(found.iter().map(parse), Rules::strict());
            match (result, expected) {
                (Ok(kept), Ok(expected)) => {
                    assert_eq!(kept, expected.iter().map(parse).collect::<Vec<_>>());
                }
                (Err(error), Err(expected)) => {
                    assert_eq!(error.kind(), TransportErrorKind::Forbidden);
                    assert_eq!(error.to_string(), expected);
                }
                (result, _) => panic!("{result:?}"),
            }
        };
        check(&["93.184.216.34"], Ok(&["93.184.216.34"]));
        check(&["127.0.0.1", "93.184.216.34"], Ok(&["93.184.216.34"]));
        check(&[], Ok(&[]));
        check(
            &["169.254.169.254"],
            Err(
                "169.254.169.254 is the address of a cloud's metadata service, where a registry may not send a client",
            ),
        );
    }

    #[tokio::test]
    async fn private_hosts_are_known_by_their_addresses() {
        let check = async |url: &str| is_private(&Url::parse(url).unwrap(), true).await;
        assert!(check("https://10.1.2.3/").await);
        assert!(check("https://[fd00::1]/").await);
        assert!(!check("https://93.184.216.34/").await);
        assert!(!check("https://localhost/").await);
    }
}
