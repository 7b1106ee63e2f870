//! A certificate for this machine's own address, and for one name that proxies are asked for.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};

/// A self-signed certificate for 127.0.0.1, `localhost` and `registry.test`, with its key.
#[derive(Debug)]
pub struct Certificate {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    /// Makes a new one, with an ECDSA key on P-256.
    pub fn generate() -> Self {
        let names = ["127.0.0.1", "localhost", "registry.test"].map(str::to_owned);
        let params = CertificateParams::new(names).expect("because the names are valid");
        let key = KeyPair::generate().expect("because the system has randomness");
        let certificate = params.self_signed(&key).expect("because the key can sign");
        Self { certificate, key }
    }

    /// Returns the certificate as PEM: what a client that trusts it is given.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns the certificate as DER.
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// Returns the private key as PKCS#8 DER.
    pub fn key_der(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// Writes `certificate.pem` and `key.pem` into a directory, and returns their paths.
    pub fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
        fs_err::write(&certificate, self.pem()).expect("because the test owns the directory");
        fs_err::write(&key, self.key.serialize_pem()).expect("because the test owns the directory");
        (certificate, key)
    }
}
