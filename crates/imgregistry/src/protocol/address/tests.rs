use proptest::prelude::*;

use super::*;

/// Addresses of each class.
const KNOWN: [(Class, &[&str]); 9] = [
    (
        Class::Public,
        &[
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.167.1.1",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
        ],
    ),
    (Class::Loopback, &["127.0.0.1", "127.255.255.254", "::1"]),
    (
        Class::Private,
        &[
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.0.1",
            "198.18.0.1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
        ],
    ),
    (Class::LinkLocal, &["169.254.1.1", "fe80::1", "febf::1"]),
    (
        Class::Metadata,
        &[
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
        ],
    ),
    (
        Class::Multicast,
        &["224.0.0.1", "239.255.255.255", "ff02::1"],
    ),
    (
        Class::Reserved,
        &[
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "2001::1",
            "64:ff9b:1::1",
            "100::1",
            "4000::1",
            "64:ff9b::1:0:0",
        ],
    ),
    (Class::Unspecified, &["0.0.0.0", "0.1.2.3", "::"]),
    (
        Class::Embedded,
        &[
            "::ffff:1.1.1.1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2002:101:101::1",
        ],
    ),
];

#[test]
fn each_address_has_its_class() {
    for (class, addresses) in KNOWN {
        for address in addresses {
            assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        }
    }
}

#[test]
fn what_a_name_is_looked_up_to_counts_by_the_inner_address() {
    for (address, expected) in [
        ("64:ff9b::101:101", None),
        ("2002:101:101::1", None),
        ("64:ff9b::a9fe:a9fe", Some(Class::Metadata)),
        ("64:ff9b::7f00:1", Some(Class::Loopback)),
        ("::ffff:10.0.0.1", Some(Class::Private)),
        ("::1", Some(Class::Loopback)),
        ("::", Some(Class::Unspecified)),
    ] {
        let found = Rules::strict().check_resolved(address.parse().unwrap());
        assert_eq!(
            found.err().map(|error| error.class()),
            expected,
            "{address}"
        );
    }
}

#[test]
fn a_registry_on_loopback_may_name_loopback_and_nothing_more() {
    let rules = |host: &str| {
        let host = host.parse().unwrap();
        Rules::of(&Endpoint::new(&host, crate::protocol::url::Scheme::Http).unwrap())
    };
    let on_loopback = rules("localhost:5000");
    for address in ["127.0.0.1", "::1", "1.1.1.1"] {
        assert!(on_loopback.check_resolved(address.parse().unwrap()).is_ok());
    }
    for address in ["10.0.0.1", "169.254.169.254", "0.0.0.0", "ff02::1"] {
        assert!(
            on_loopback
                .check_resolved(address.parse().unwrap())
                .is_err()
        );
    }
    assert_eq!(rules("r.example"), Rules::strict());
    assert_eq!(rules("10.0.0.1"), Rules::strict());
}

#[test]
fn hosts_in_urls_are_checked_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::101:101]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "169.254.169.254",
        "0",
    ] {
        let url: url::Url = format!("https://{host}/").parse().unwrap();
        let found = Rules::strict().check_literal(&url.host().unwrap());
        assert!(found.is_err(), "{host}");
    }
    for host in ["r.example", "notlocalhost", "1.1.1.1", "[2606:4700::1111]"] {
        let url: url::Url = format!("https://{host}/").parse().unwrap();
        assert_eq!(
            Rules::strict().check_literal(&url.host().unwrap()),
            Ok(()),
            "{host}"
        );
    }
}

#[test]
fn the_refusal_names_the_address() {
    let error = Rules::strict().check_resolved(Ipv4Addr::new(169, 254, 169, 254).into());
    assert_eq!(
        error.unwrap_err().to_string(),
        "169.254.169.254 is the address of a cloud's metadata service, where a registry may not send a client"
    );
}

proptest! {
    #[test]
    fn private_rules_never_open_more_than_private_networks(address in any::<IpAddr>()) {
        let allowed = Rules::strict().with_private(true).check_resolved(address).is_ok();
        let inner = match address {
            IpAddr::V6(outer) => embedded_class(outer).unwrap_or(Class::of(address)),
            IpAddr::V4(_) => Class::of(address),
        };
        prop_assert_eq!(allowed, matches!(inner, Class::Public | Class::Private));
        prop_assert!(Rules::anywhere().check_resolved(address).is_ok());
    }
}
