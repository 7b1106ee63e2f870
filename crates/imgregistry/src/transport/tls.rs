//! TLS settings: one provider, given by hand, so that nothing of the process is changed or needed.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use super::Verification;
use crate::error::{Error, Result};

/// What a client trusts, and who it says it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Certificates of authorities that are trusted beside those of the system.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// The certificate that the client shows when it is asked for one.
    pub identity: Option<ClientIdentity>,
}

impl TlsOptions {
    /// Trusts the authorities of a PEM text as well.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a text without a certificate, or with a broken one.
    pub fn add_roots(&mut self, pem: &[u8]) -> Result<()> {
        self.extra_roots.extend(certificates(pem)?);
        Ok(())
    }
}

/// A client certificate with its key. The key cannot be printed.
pub struct ClientIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientIdentity {
    /// Reads a certificate chain and its private key (PKCS#8, PKCS#1 or SEC1) from PEM texts, which may be one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a text without a certificate or key, or with a
    /// broken one.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        Ok(Self {
            chain: certificates(chain)?,
            key: PrivateKeyDer::from_pem_slice(key)
                // The error's own text could quote the key.
                .map_err(|_| refused("the client key is no PEM text of a private key"))?,
        })
    }
}

impl Clone for ClientIdentity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err(refused("the PEM text has no certificate")),
        Ok(found) => Ok(found),
        Err(_) => Err(refused("the PEM text has a broken certificate")),
    }
}

fn refused(detail: impl Into<String>) -> Error {
    Error::configuration(detail)
}

/// Makes a configuration for TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1 on offer.
pub(super) fn configure(options: &TlsOptions, verification: Verification) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(options, verification, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match options.identity.clone() {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { chain, key }) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                refused(format!(
                    "the client certificate and its key do not fit: {error}"
                ))
            })?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn verifier(
    options: &TlsOptions,
    verification: Verification,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    if verification == Verification::Skipped {
        return Ok(Arc::new(AcceptAny(Arc::clone(provider))));
    }
    let roots = options.extra_roots.clone();
    match Verifier::new_with_extra_roots(roots, Arc::clone(provider)) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        // A machine without any authority (a bare container) can still speak plain HTTP.
        Err(_) if options.extra_roots.is_empty() => Ok(Arc::new(TrustNone(Arc::clone(provider)))),
        Err(error) => Err(refused(format!(
            "the extra certificates cannot be used: {error}"
        ))),
    }
}

/// Takes every certificate: for the hosts of which the user said so. The handshake is still checked.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

/// Takes none, and says why.
#[derive(Debug)]
struct TrustNone(Arc<CryptoProvider>);

macro_rules! check_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls12_signature(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.0.signature_verification_algorithms;
            verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    check_signatures!();
}

impl ServerCertVerifier for TrustNone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::Error::General(
            "this machine has no certificates of authorities, and no extra ones were given"
                .to_owned(),
        ))
    }

    check_signatures!();
}
