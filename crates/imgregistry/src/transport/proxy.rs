//! Which requests go through a proxy.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// The proxies for `http` and `https`, and the hosts that need none.
///
/// # Examples
///
/// ```
/// use imgregistry::Proxies;
///
/// let environment = |name: &str| match name {
///     "HTTPS_PROXY" => Some("http://proxy.example:3128".to_owned()),
///     "NO_PROXY" => Some(".internal.example,10.0.0.0/8".to_owned()),
///     _ => None,
/// };
/// let proxies = Proxies::from_environment(environment)?;
/// assert!(proxies.is_used_for("https://registry.example/v2/"));
/// assert!(!proxies.is_used_for("https://10.1.2.3/v2/"));
/// # Ok::<(), imgregistry::ProxyError>(())
/// ```
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

/// Why a proxy's setting cannot be used. It names the setting and never its value, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError(String);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProxyError {}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Every host.
    All,
    /// The hosts under a domain, and the domain itself unless it was written with a dot in front.
    Domain { name: String, itself: bool },
    /// The addresses of a network.
    Network(IpNet),
}

impl Proxies {
    /// No proxy for anything.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the variables that programs agree on, small letters first: `https_proxy`, `http_proxy`, `all_proxy`,
    /// `no_proxy`.
    ///
    /// `HTTP_PROXY` in capitals is not read where `REQUEST_METHOD` is set: a web server lets strangers set it.
    ///
    /// # Errors
    ///
    /// A proxy that is no URL of `http` or `https`.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let any = |names: &[&str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some(((*name).to_owned(), value))
            })
        };
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let mut for_http = vec!["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        if is_cgi {
            for_http.retain(|name| *name != "HTTP_PROXY");
        }
        let for_https = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
        let exceptions = any(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value);
        Ok(Self {
            http: parse_setting(any(&for_http))?,
            https: parse_setting(any(&for_https))?,
            exceptions: parse_exceptions(&exceptions.unwrap_or_default()),
        })
    }

    /// Returns whether a URL is reached through a proxy.
    pub fn is_used_for(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| self.proxy_for(&url).is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Returns the proxy for a URL. Loopback hosts never have one: nobody means the proxy's own.
    pub(super) fn proxy_for(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        let host = url.host()?;
        let port = url.port_or_known_default();
        let is_excepted = is_loopback(&host)
            || self
                .exceptions
                .iter()
                .any(|exception| exception.covers(&host, port));
        (!is_excepted).then_some(proxy)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |url: &Option<Url>| {
            url.as_ref()
                .and_then(|url| url.host_str().map(str::to_owned))
        };
        f.debug_struct("Proxies")
            .field("http", &host(&self.http))
            .field("https", &host(&self.https))
            .field("exceptions", &self.exceptions)
            .finish()
    }
}

fn parse_setting(setting: Option<(String, String)>) -> Result<Option<Url>, ProxyError> {
    let Some((name, value)) = setting else {
        return Ok(None);
    };
    let text = if value.contains("://") {
        value.trim().to_owned()
    } else {
        format!("http://{}", value.trim())
    };
    let url =
        Url::parse(&text).map_err(|error| ProxyError(format!("{name} is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(Some(url)),
        scheme => Err(ProxyError(format!(
            "{name} names a proxy of {scheme}, known are http and https"
        ))),
    }
}

/// Reads the entries; one that makes no sense is passed over, as every program does.
fn parse_exceptions(text: &str) -> Vec<Exception> {
    text.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .filter_map(parse_exception)
        .collect()
}

fn parse_exception(entry: &str) -> Option<Exception> {
    let bare = entry
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(entry);
    let network = |what: &str| -> Option<IpNet> {
        what.parse()
            .ok()
            .or_else(|| what.parse::<IpAddr>().ok().map(IpNet::from))
    };
    if entry == "*" {
        return Some(Exception {
            what: What::All,
            port: None,
        });
    }
    if let Some(network) = network(bare) {
        return Some(Exception {
            what: What::Network(network),
            port: None,
        });
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    let inner = name.trim_start_matches('[').trim_end_matches(']');
    let what = if let Some(network) = network(inner) {
        What::Network(network)
    } else {
        let lower = name.to_ascii_lowercase();
        let under = lower.trim_start_matches('*').trim_start_matches('.');
        What::Domain {
            name: under.trim_end_matches('.').to_owned(),
            itself: under.len() == lower.len(),
        }
    };
    Some(Exception { what, port })
}

impl Exception {
    fn covers(&self, host: &Host<&str>, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        match (&self.what, host) {
            (What::All, _) => true,
            (What::Network(network), Host::Ipv4(address)) => {
                network.contains(&IpAddr::from(*address))
            }
            (What::Network(network), Host::Ipv6(address)) => {
                network.contains(&IpAddr::from(*address))
            }
            (What::Domain { name, itself }, Host::Domain(domain)) => {
                let domain = domain.trim_end_matches('.');
                match domain.strip_suffix(name.as_str()) {
                    Some("") => *itself,
                    Some(front) => front.ends_with('.'),
                    None => false,
                }
            }
            (What::Network(_), Host::Domain(_)) | (What::Domain { .. }, _) => false,
        }
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.trim_end_matches('.') == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::from_environment(|name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn exceptions_are_domains_addresses_networks_and_ports() {
        let check = |no_proxy: &str, url: &str, is_used: bool| {
            let found = proxies(&[("all_proxy", "proxy.example:3128"), ("no_proxy", no_proxy)]);
            assert_eq!(found.unwrap().is_used_for(url), is_used, "{no_proxy} {url}");
        };
        check("", "https://registry.example/", true);
        check("*", "https://registry.example/", false);
        check("registry.example", "https://registry.example/", false);
        check("registry.example", "https://a.registry.example/", false);
        check("registry.example", "https://aregistry.example/", true);
        check(".example", "https://registry.example/", false);
        check(".registry.example", "https://registry.example/", true);
        check("*.registry.example", "https://a.registry.example/", false);
        check("REGISTRY.example", "https://registry.EXAMPLE/", false);
        check("registry.example:5000", "https://registry.example/", true);
        check(
            "registry.example:5000",
            "https://registry.example:5000/",
            false,
        );
        check("registry.example:443", "https://registry.example/", false);
        check("10.0.0.0/8, 192.168.0.0/16", "https://10.9.8.7/", false);
        check(
            "10.0.0.0/8 192.168.0.0/16",
            "https://192.168.1.1:5000/",
            false,
        );
        check("10.0.0.0/8", "https://11.0.0.1/", true);
        check("10.0.0.1", "https://10.0.0.1/", false);
        check("fd00::/8", "https://[fd00::1]:5000/", false);
        check("[fd00::1]:5000", "https://[fd00::1]:5000/", false);
        check("[fd00::1]:5000", "https://[fd00::1]/", true);
        check("nonsense:port", "https://registry.example/", true);
        check("", "https://localhost:5000/", false);
        check("", "https://127.0.0.1:5000/", false);
        check("", "https://[::1]/", false);
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = [("https_proxy", "http://s:1"), ("HTTP_PROXY", "http://p:1")];
        let check = |variables: &[(&str, &str)], url: &str, expected: Option<&str>| {
            let found = proxies(variables).unwrap();
            let url = Url::parse(url).unwrap();
            let host = found.proxy_for(&url).and_then(Url::host_str);
            assert_eq!(host, expected, "{url}");
        };
        check(&both, "https://registry.example", Some("s"));
        check(&both, "http://registry.example", Some("p"));
        check(&[], "http://registry.example", None);
        check(&[("HTTPS_PROXY", " ")], "https://registry.example", None);
        let web_server = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        check(&web_server, "http://registry.example", None);
    }

    #[test]
    fn bad_settings_are_refused_without_their_value() {
        let check = |value: &str, expected: &str| {
            let error = proxies(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(
            "http://user:imgkit-canary-proxy@:1",
            "HTTPS_PROXY is no URL: empty host",
        );
        check(
            "socks5://proxy:1",
            "HTTPS_PROXY names a proxy of socks5, known are http and https",
        );
        let found = proxies(&[("HTTPS_PROXY", "http://user:imgkit-canary-proxy@proxy:1")]).unwrap();
        assert!(!format!("{found:?}").contains("canary"));
    }
}
