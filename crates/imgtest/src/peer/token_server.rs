//! The token server that a docker-registry trusts: signed tokens, for people with the password and for anyone.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::{Certificate, free_address};

/// What the tokens say made them; the registry's configuration names it.
pub(super) const ISSUER: &str = "imgkit-test-issuer";
/// Whom the tokens are for.
pub(super) const SERVICE: &str = "imgkit-test-registry";

/// Gives tokens by the [token specification] of the registry: pulling for anyone, everything with the password.
///
/// [token specification]: https://distribution.github.io/distribution/spec/auth/token/
#[derive(Debug)]
pub struct TokenServer {
    address: String,
    asked: Arc<AtomicUsize>,
}

struct Signer {
    key: EcdsaKeyPair,
    certificate: String,
    password: String,
    /// Seconds that a token is valid.
    life: u64,
}

impl TokenServer {
    /// Starts a server for tokens that live so many seconds; its threads end with the test's process.
    pub fn start(certificate: &Certificate, password: &str, life: u64) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            certificate.key_der(),
            &random,
        );
        let signer = Arc::new(Signer {
            key: key.expect("because the certificate's key is one of P-256"),
            certificate: STANDARD.encode(certificate.der()),
            password: password.to_owned(),
            life,
        });
        let address = free_address();
        let listener = TcpListener::bind(&address).expect("because the port was just free");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                let signer = Arc::clone(&signer);
                std::thread::spawn(move || answer(&signer, stream));
            }
        });
        Self { address, asked }
    }

    /// Returns the realm that the registry's configuration names.
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Returns how often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// One request a connection.
fn answer(signer: &Signer, mut stream: TcpStream) {
    let Some((target, authorization)) = request_head(&stream) else {
        return;
    };
    let (status, body) = match user_of(authorization.as_deref(), &signer.password) {
        Ok(user) => ("200 OK", signer.token_for(&target, user.as_deref())),
        Err(()) => (
            "401 Unauthorized",
            json!({"details": "incorrect username or password"}),
        ),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

/// Returns the target and the value of `Authorization`.
fn request_head(stream: &TcpStream) -> Option<(String, Option<String>)> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let mut authorization = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.trim().to_owned());
        }
    }
    Some((target, authorization))
}

/// Returns the user whose password was right, `None` for nobody.
fn user_of(authorization: Option<&str>, password: &str) -> Result<Option<String>, ()> {
    let Some(authorization) = authorization else {
        return Ok(None);
    };
    let encoded = authorization.strip_prefix("Basic ").ok_or(())?;
    let decoded = STANDARD.decode(encoded).map_err(drop)?;
    let decoded = String::from_utf8(decoded).map_err(drop)?;
    let (user, given) = decoded.split_once(':').ok_or(())?;
    (given == password).then(|| Some(user.to_owned())).ok_or(())
}

impl Signer {
    fn token_for(&self, target: &str, user: Option<&str>) -> Value {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("because the clock is past 1970")
            .as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": user.unwrap_or(""), "aud": SERVICE,
            "exp": now + self.life, "nbf": now.saturating_sub(5), "iat": now, "jti": now.to_string(),
            "access": access(target, user.is_some()),
        });
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("because the system has randomness");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        json!({"token": token, "expires_in": self.life})
    }
}

/// What of the scopes that a request asks for is granted.
fn access(target: &str, may_write: bool) -> Vec<Value> {
    let url = url::Url::parse("http://token.invalid")
        .and_then(|base| base.join(target))
        .expect("because clients ask with valid targets");
    let scopes = url
        .query_pairs()
        .filter(|(name, _)| name == "scope")
        .flat_map(|(_, value)| {
            let scopes: Vec<String> = value.split(' ').map(str::to_owned).collect();
            scopes
        });
    scopes
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let granted: Vec<&str> = actions
                .split(',')
                .filter(|action| may_write || *action == "pull")
                .collect();
            Some(json!({"type": kind, "name": name, "actions": granted}))
        })
        .collect()
}
