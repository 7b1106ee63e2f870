//! Looking up names that a server gave, and dropping the addresses that such a name must not have.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::TransportError;
use crate::protocol::address::Rules;

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
        Some(error) if allowed.is_empty() => Err(TransportError::forbidden(&error)),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::TransportErrorKind;
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
        let inside = ["10.0.0.1".parse().unwrap()].map(|address| SocketAddr::new(address, 0));
        let refused = allowed(inside.into_iter(), Rules::strict()).unwrap_err();
        assert!(refused.is_private());
        let allowing = Rules::strict().with_private(true);
        assert_eq!(allowed(inside.into_iter(), allowing).unwrap(), inside);
        check(
            &["169.254.169.254"],
            Err(
                "169.254.169.254 is the address of a cloud's metadata service, where a registry may not send a client",
            ),
        );
    }
}
