//! Debian's docker-registry (distribution 2.8), in the ways that it lets people in and keeps blobs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::s3::{self, S3};
use super::{Certificate, Running, TokenServer, free_address, token_server, wait_for_listener};
use crate::oracle::tool;

/// Whom a registry lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests go over all of them")]
pub enum Access {
    /// Anyone, over plain HTTP.
    Open,
    /// Whoever has the password, over TLS, by Basic authentication.
    Password,
    /// Whoever has a token of its token server, over plain HTTP: anyone to pull.
    Token,
}

impl Access {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Password, Self::Token];
}

/// A registry that a test starts for itself.
#[derive(Debug)]
pub struct DockerRegistry {
    address: String,
    directory: PathBuf,
    certificate: Option<Certificate>,
    tokens: Option<TokenServer>,
    _process: Running,
    /// Where its blobs are, unless they are files.
    _s3: Option<S3>,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests take it apart")]
pub struct Answered {
    /// `GET`.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
}

impl DockerRegistry {
    /// The user of [`Access::Password`] and [`Access::Token`].
    pub const USER: &str = "imgkit";
    /// The password of [`USER`](Self::USER): a canary that must not turn up anywhere.
    pub const PASSWORD: &str = "imgkit-canary-htpasswd";
    /// `htpasswd -bnB` of both.
    const HTPASSWD: &str = "imgkit:$2y$05$abcdefghijklmnopqrstuuKZii4lmS8r38gnX8YxZk2T7r6ZWjtDe\n";

    /// Starts one with its files in `directory`; `None` where the program is missing, which has then been said.
    pub fn start(access: Access, directory: &Path) -> Option<Self> {
        let program = tool("docker-registry")?;
        Some(Self::start_program(&program, access, directory, None))
    }

    /// Starts one that anyone may use and that keeps its blobs in S3: whoever reads one is sent there with a signed URL.
    /// `None` where a program is missing, which has then been said.
    pub fn start_on_s3(directory: &Path) -> Option<Self> {
        let program = tool("docker-registry")?;
        let s3 = S3::start(directory)?;
        Some(Self::start_program(
            &program,
            Access::Open,
            directory,
            Some(s3),
        ))
    }

    fn start_program(program: &Path, access: Access, directory: &Path, s3: Option<S3>) -> Self {
        let address = free_address();
        let certificate = (access != Access::Open).then(Certificate::generate);
        let tokens = match &certificate {
            Some(certificate) if access == Access::Token => {
                Some(TokenServer::start(certificate, Self::PASSWORD, 300))
            }
            _ => None,
        };
        let access = access_of(directory, &address, certificate.as_ref(), tokens.as_ref());
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{{}, delete: {{enabled: true}}}}\n{access}",
            storage(directory, s3.as_ref())
        );
        let file = directory.join("registry.yml");
        fs_err::write(&file, config).expect("because the test owns the directory");
        let log = directory.join("registry.log");
        let mut command = Command::new(program);
        // Its client of S3 takes this for a reason to end.
        command.env_remove("AWS_CA_BUNDLE");
        let process = Running::start(command.arg("serve").arg(file), &log);
        wait_for_listener(&address, &log);
        Self {
            address,
            directory: directory.to_owned(),
            certificate,
            tokens,
            _process: process,
            _s3: s3,
        }
    }

    /// Returns host and port, the first part of the names of its images.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the certificate to trust, as PEM, when it speaks TLS.
    pub fn certificate_pem(&self) -> Option<String> {
        let of_tls = self.tokens.is_none();
        let certificate = self.certificate.as_ref().filter(|_| of_tls)?;
        Some(certificate.pem())
    }

    /// Returns its token server, when it has one.
    pub fn tokens(&self) -> Option<&TokenServer> {
        self.tokens.as_ref()
    }

    /// Reads the access log: what was answered so far, in the order of the answers' ends.
    pub fn answered(&self) -> Vec<Answered> {
        let log = fs_err::read_to_string(self.directory.join("registry.log"));
        let log = log.expect("because the registry was started with a log");
        log.lines().filter_map(answered).collect()
    }

    /// Adds up the answers with parts of a blob and with all of it.
    pub fn bytes_served(&self, digest: &str) -> u64 {
        let blob = format!("/blobs/{digest}");
        let answers = self.answered().into_iter();
        answers
            .filter(|one| one.method == "GET" && one.target.ends_with(&blob))
            .map(|one| one.bytes)
            .sum()
    }
}

/// Reads a line in the combined log format: `… "GET /v2/ HTTP/1.1" 200 2 "" "agent"`.
fn answered(line: &str) -> Option<Answered> {
    let mut quoted = line.split('"');
    let mut request = quoted.nth(1)?.split(' ');
    let mut numbers = quoted.next()?.split_whitespace();
    Some(Answered {
        method: request.next()?.to_owned(),
        target: request.next()?.to_owned(),
        status: numbers.next()?.parse().ok()?,
        bytes: numbers.next()?.parse().ok()?,
    })
}

/// Where blobs are kept, and that whoever reads them is sent there where that is possible.
fn storage(directory: &Path, s3: Option<&S3>) -> String {
    let Some(s3) = s3 else {
        let root = directory.join("registry");
        return format!("filesystem: {{rootdirectory: \"{}\"}}", root.display());
    };
    format!(
        "s3: {{accesskey: any, secretkey: any, region: us-east-1, regionendpoint: \"http://{}\", bucket: {}, secure: false}}, \
         redirect: {{disable: false}}",
        s3.address(),
        s3::BUCKET
    )
}

/// How people get in.
fn access_of(
    directory: &Path,
    address: &str,
    certificate: Option<&Certificate>,
    tokens: Option<&TokenServer>,
) -> String {
    let files = certificate.map(|certificate| certificate.write(directory));
    match (files, tokens) {
        (None, _) => format!("http: {{addr: \"{address}\"}}\n"),
        (Some((certificate, _)), Some(tokens)) => format!(
            "http: {{addr: \"{address}\"}}\nauth: {{token: {{realm: \"{}\", service: {}, issuer: {}, rootcertbundle: \"{}\"}}}}\n",
            tokens.realm(),
            token_server::SERVICE,
            token_server::ISSUER,
            certificate.display()
        ),
        (Some((certificate, key)), None) => {
            let passwords = directory.join("htpasswd");
            fs_err::write(&passwords, DockerRegistry::HTPASSWD)
                .expect("because the test owns the directory");
            format!(
                "http: {{addr: \"{address}\", tls: {{certificate: \"{}\", key: \"{}\"}}}}\n\
                 auth: {{htpasswd: {{realm: imgkit, path: \"{}\"}}}}\n",
                certificate.display(),
                key.display(),
                passwords.display()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ImageBuilder, write_layout};

    #[test]
    fn a_line_of_the_access_log_is_an_answer() {
        let line = r#"127.0.0.1 - - [24/Nov/2026:18:00:00 +0000] "GET /v2/a/blobs/sha256:b HTTP/1.1" 206 1234 "" "agent""#;
        let expected = Answered {
            method: "GET".to_owned(),
            target: "/v2/a/blobs/sha256:b".to_owned(),
            status: 206,
            bytes: 1234,
        };
        assert_eq!(answered(line), Some(expected));
        assert_eq!(answered("registry starts"), None);
    }

    /// The peer itself is what is tested here: that skopeo gets in where it should, and only there.
    #[test]
    fn skopeo_gets_in_with_the_password_and_not_without() {
        let Some(skopeo) = tool("skopeo") else { return };
        for access in Access::ALL {
            let directory = tempfile::tempdir().unwrap();
            let Some(registry) = DockerRegistry::start(access, directory.path()) else {
                return;
            };
            let push =
                |credentials: &[&str]| push(&skopeo, directory.path(), &registry, credentials);
            assert_eq!(push(&[]), access == Access::Open, "{access:?}");
            let credentials = format!("{}:{}", DockerRegistry::USER, DockerRegistry::PASSWORD);
            assert!(push(&["--dest-creds", &credentials]), "{access:?}");
            assert!(!registry.answered().is_empty());
            let asked = registry.tokens().map_or(0, TokenServer::asked);
            assert_eq!(asked > 0, access == Access::Token);
        }
    }

    fn push(skopeo: &Path, directory: &Path, registry: &DockerRegistry, more: &[&str]) -> bool {
        let layout = directory.join("layout");
        let image = ImageBuilder::new().build();
        write_layout(&layout, &image.blobs, &image.manifest, "test");
        let status = Command::new(skopeo)
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
            ])
            .args(more)
            .arg(format!("oci:{}:test", layout.display()))
            .arg(format!("docker://{}/test:latest", registry.address()))
            .output()
            .unwrap();
        status.status.success()
    }
}
