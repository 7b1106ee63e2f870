//! Which addresses a server may send the client to.
//!
//! What the user named may be anywhere. What a *registry* names (a token server, a redirect, the place of an upload,
//! a foreign layer) must not lead to this machine, to its network or to the metadata service of its cloud: the request
//! would come from inside. The rules hold twice: for an address in a URL ([`Rules::check_literal`]), and for what a
//! name is looked up to ([`Rules::check_resolved`]), since anyone may let a name point anywhere.

mod reach;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

pub use self::reach::Reach;
pub use super::allowed::{AllowedHost, ParseAllowedHostError};
use super::url::Endpoint;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// An address that hides another one: IPv4 inside of IPv6.
    Embedded,
    /// Only on the same wire: 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// This machine: 127.0.0.0/8, `::1`.
    Loopback,
    /// A service that gives a cloud's machines their credentials.
    Metadata,
    /// Many machines at once.
    Multicast,
    /// A network that is not the Internet: 10.0.0.0/8, `fc00::/7` and the like.
    Private,
    /// The Internet.
    Public,
    /// Never given to a machine.
    Reserved,
    /// No address: 0.0.0.0/8, ::, which reach this machine on some systems.
    Unspecified,
}

impl Class {
    /// Returns the kind of an address.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgregistry::protocol::address::Class;
    ///
    /// assert_eq!(Class::of("169.254.169.254".parse()?), Class::Metadata);
    /// assert_eq!(Class::of("::ffff:10.0.0.1".parse()?), Class::Embedded);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        const METADATA: [[u8; 4]; 5] = [
            // Nearly everyone; AWS for its containers.
            [169, 254, 169, 254],
            [169, 254, 170, 2],
            // Alibaba, Oracle, Azure's WireServer.
            [100, 100, 100, 200],
            [192, 0, 0, 192],
            [168, 63, 129, 16],
        ];
        if METADATA.contains(&address.octets()) {
            return Self::Metadata;
        }
        match address.octets() {
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            // The last two are networks of carriers (RFC 6598) and for measuring (RFC 2544).
            [10, ..]
            | [192, 168, ..]
            | [172, 16..=31, ..]
            | [100, 64..=127, ..]
            | [198, 18..=19, ..] => Self::Private,
            [224..=239, ..] => Self::Multicast,
            [192, 0, 0, _] | [240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        const METADATA: [Ipv6Addr; 2] = [
            // AWS, Google.
            Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
            Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        ];
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        if address.is_unspecified() {
            return Self::Unspecified;
        }
        if address.is_loopback() {
            return Self::Loopback;
        }
        if embedded(address).is_some() {
            return Self::Embedded;
        }
        match address.segments() {
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            // Unique local, and the site-local ones from before.
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Self::Private,
            [0xff00..=0xffff, ..] => Self::Multicast,
            // Teredo, and what RFC 8215 keeps for translation inside of a network.
            [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => Self::Reserved,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Reserved,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Embedded => "an IPv4 address inside of IPv6",
            Self::LinkLocal => "a link-local address",
            Self::Loopback => "a loopback address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Private => "an address of a private network",
            Self::Public => "a public address",
            Self::Reserved => "a reserved address",
            Self::Unspecified => "an unspecified address",
        }
    }
}

/// Returns the IPv4 address in an IPv6 one: mapped, compatible, NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let inner = |at: usize| {
        let octets = address.octets();
        let [a, b, c, d] = [0, 1, 2, 3].map(|offset| octets[2 * at + offset]);
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(inner(6)),
        [0x2002, ..] => Some(inner(1)),
        _ => None,
    }
}

/// An address that a server may not send the client to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {}, where a registry may not send a client", class.name())]
pub struct ForbiddenAddress {
    address: IpAddr,
    class: Class,
}

impl ForbiddenAddress {
    /// Returns the address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns what kind of place it is.
    pub fn class(&self) -> Class {
        self.class
    }
}

/// Which addresses are allowed to a host that a registry named.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::address::Rules;
///
/// let rules = Rules::strict();
/// assert!(rules.check_resolved("93.184.216.34".parse()?).is_ok());
/// assert!(rules.check_resolved("10.0.0.1".parse()?).is_err());
/// assert!(rules.with_private(true).check_resolved("10.0.0.1".parse()?).is_ok());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    anywhere: bool,
    loopback: bool,
    private: bool,
}

impl Rules {
    /// Allows the Internet only.
    pub fn strict() -> Self {
        Self {
            anywhere: false,
            loopback: false,
            private: false,
        }
    }

    /// Allows every address: for what the user has named.
    pub fn anywhere() -> Self {
        Self {
            anywhere: true,
            ..Self::strict()
        }
    }

    /// Returns the rules for hosts that a registry names: a registry on loopback may name others on loopback, since it
    /// is on this machine itself. Otherwise they are [`strict`](Self::strict).
    pub fn of(registry: &Endpoint) -> Self {
        Self {
            loopback: registry.is_loopback(),
            ..Self::strict()
        }
    }

    /// Sets whether addresses of private networks are allowed: for a host that the user allows there.
    #[must_use]
    pub fn with_private(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Checks the host of a URL, if it is an address: those that hide another one are never allowed.
    ///
    /// # Errors
    ///
    /// [`ForbiddenAddress`].
    pub fn check_literal(&self, host: &Host<impl AsRef<str>>) -> Result<(), ForbiddenAddress> {
        let address = match host {
            // `localhost` is looked up to loopback; names below it are as well on some systems.
            Host::Domain(name) if is_localhost(name.as_ref()) => Ipv4Addr::LOCALHOST.into(),
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => (*address).into(),
            Host::Ipv6(address) => (*address).into(),
        };
        self.check(address, Class::of(address))
    }

    /// Checks an address that a name was looked up to.
    ///
    /// Networks that speak only IPv6 give IPv4 hosts an address that holds theirs (NAT64): what counts is the inner one.
    ///
    /// # Errors
    ///
    /// [`ForbiddenAddress`].
    pub fn check_resolved(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let class = match address {
            IpAddr::V6(outer) => embedded_class(outer),
            IpAddr::V4(_) => None,
        };
        self.check(address, class.unwrap_or_else(|| Class::of(address)))
    }

    fn check(self, address: IpAddr, class: Class) -> Result<(), ForbiddenAddress> {
        let is_allowed = self.anywhere
            || match class {
                Class::Public => true,
                Class::Loopback => self.loopback,
                Class::Private => self.private,
                _ => false,
            };
        if is_allowed {
            return Ok(());
        }
        Err(ForbiddenAddress { address, class })
    }
}

/// The kind of the address inside, where the outer one is more than a hiding place.
fn embedded_class(outer: Ipv6Addr) -> Option<Class> {
    if outer.is_loopback() || outer.is_unspecified() {
        return None;
    }
    embedded(outer).map(Class::of_v4)
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name
            .to_ascii_lowercase()
            .strip_suffix("localhost")
            .is_some_and(|rest| rest.ends_with('.'))
}
