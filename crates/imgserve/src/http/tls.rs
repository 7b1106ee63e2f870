//! Certificates as files hold them.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, ErrorKind, Result};

/// Makes the configuration of a server of PEM texts.
pub(super) fn configuration(certificates: &[u8], key: &[u8]) -> Result<ServerConfig> {
    let invalid = |text: &str| Error::new(ErrorKind::InvalidInput, text);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| invalid("the certificate is no PEM").with_source(error))?;
    if chain.is_empty() {
        return Err(invalid("there is no certificate in the PEM"));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| invalid("the key is no PEM of a private key").with_source(error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS cannot be used").with_source(error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| invalid("certificate and key cannot be used together").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let (certificate, key) = pair();
        assert!(configuration(certificate.as_bytes(), key.as_bytes()).is_ok());
        let (_, other) = pair();
        let check = |certificates: &str, key: &str, expected: &str| {
            let error = configuration(certificates.as_bytes(), key.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        };
        let together = "certificate and key cannot be used together";
        check(&certificate, &other, together);
        check("", &key, "there is no certificate in the PEM");
        check(&key, &key, "there is no certificate in the PEM");
        let no_key = "the key is no PEM of a private key";
        check(&certificate, "", no_key);
        check(&certificate, &certificate, no_key);
        let cut = &certificate[..certificate.len() / 2];
        check(cut, &key, "the certificate is no PEM");
    }
}
