//! Credentials in variables, for one host: `IMG_REGISTRY_AUTH_*`.

use imgcore::RegistryHost;

use crate::host::canonical;
use crate::text::{check_password, check_token, check_username};
use crate::{Answer, Environment, Lookup, RegistryCredential, Resolution};

const HOST: &str = "IMG_REGISTRY_AUTH_HOST";
const USERNAME: &str = "IMG_REGISTRY_AUTH_USERNAME";
const PASSWORD: &str = "IMG_REGISTRY_AUTH_PASSWORD";
const BEARER: &str = "IMG_REGISTRY_AUTH_BEARER_TOKEN";

/// Looks into the variables. Without a host they are for nobody: a credential that every registry gets is a leak.
pub(crate) fn resolve(environment: &Environment, host: &RegistryHost) -> Resolution {
    let (credential, answer) = match look(environment, host) {
        Ok(Ok(credential)) => {
            let form = credential.form().to_owned();
            (Some(credential), Answer::Found(form))
        }
        Ok(Err(why)) => (None, Answer::Nothing(why)),
        Err(why) => (None, Answer::Failed(why)),
    };
    Resolution::new(credential, vec![Lookup::new(HOST, answer)])
}

/// Finds the credential, or says why there is none, or, as an error, what is wrong.
fn look(
    environment: &Environment,
    host: &RegistryHost,
) -> Result<Result<RegistryCredential, String>, String> {
    let Some(own) = text(environment, HOST)? else {
        let mut others = [BEARER, USERNAME, PASSWORD].into_iter();
        return match others.find(|name| environment.value(name).is_some()) {
            Some(name) => Err(format!("it is not set, so {name} is for no registry")),
            None => Ok(Err("it is not set".to_owned())),
        };
    };
    let own: RegistryHost = own.parse().map_err(|_| "it is no host".to_owned())?;
    if canonical(own.as_str()) != canonical(host.as_str()) {
        return Ok(Err(format!("it is {own}, and not {host}")));
    }
    if let Some(token) = text(environment, BEARER)? {
        check_token(token, BEARER)?;
        return Ok(Ok(RegistryCredential::bearer(token)));
    }
    match (text(environment, USERNAME)?, text(environment, PASSWORD)?) {
        (Some(username), Some(password)) => {
            let checked = check_username(username).and_then(|()| check_password(password));
            checked.map_err(|why| format!("{USERNAME}, {PASSWORD}: {why}"))?;
            Ok(Ok(RegistryCredential::basic(username, password)))
        }
        (Some(_), None) => Err(format!("{PASSWORD} is not set")),
        (None, Some(_)) => Err(format!("{USERNAME} is not set")),
        (None, None) => Err(format!("neither {BEARER} nor {USERNAME} is set")),
    }
}

fn text<'a>(environment: &'a Environment, name: &str) -> Result<Option<&'a str>, String> {
    match environment.value(name) {
        None => Ok(None),
        Some(value) => match value.to_str() {
            Some(text) => Ok(Some(text)),
            None => Err(format!("{name} is no text")),
        },
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn resolve_for(host: &str, variables: &[(&str, &str)]) -> Resolution {
        let environment = variables.iter().copied().collect();
        resolve(&environment, &host.parse().unwrap())
    }

    #[test]
    fn credential_is_for_its_host_with_its_port_and_no_other() {
        let check = |own: &str, host: &str, expected: bool| {
            let found = resolve_for(host, &[(HOST, own), (BEARER, "token")]);
            let bearer = RegistryCredential::bearer("token");
            assert_eq!(
                found.credential,
                expected.then_some(bearer),
                "{own} for {host}"
            );
        };
        check("r.example", "r.example", true);
        check("R.example", "r.EXAMPLE", true);
        check("r.example:5000", "r.example:5000", true);
        check("r.example", "r.example:5000", false);
        check("r.example:5000", "r.example", false);
        check("example", "r.example", false);
        check("r.example", "r.example.evil", false);
        check("docker.io", "registry-1.docker.io", true);
        check("index.docker.io", "docker.io", true);
        check("*", "r.example", false);
        check("https://r.example", "r.example", false);
    }

    #[test]
    fn bearer_token_goes_before_user_and_password() {
        let basic = [(HOST, "r"), (USERNAME, "user"), (PASSWORD, "pass")];
        let found = resolve_for("r", &basic);
        assert_eq!(
            found.credential,
            Some(RegistryCredential::basic("user", "pass"))
        );
        let both: Vec<_> = basic.into_iter().chain([(BEARER, "token")]).collect();
        let found = resolve_for("r", &both);
        assert_eq!(found.credential, Some(RegistryCredential::bearer("token")));
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let said = |variables: &[(&str, &str)]| {
            let found = resolve_for("r.example", variables);
            assert_eq!(found.credential, None);
            found.trail[0].to_string()
        };
        let host = (HOST, "r.example");
        let texts = [
            said(&[]),
            said(&[(HOST, "other.example"), (BEARER, "canary")]),
            said(&[(HOST, "https://r.example/"), (BEARER, "canary")]),
            said(&[(BEARER, "canary")]),
            said(&[(USERNAME, "canary"), (PASSWORD, "canary")]),
            said(&[host]),
            said(&[host, (USERNAME, "canary")]),
            said(&[host, (PASSWORD, "canary")]),
            said(&[host, (BEARER, "can\nary")]),
            said(&[host, (USERNAME, "can:ary"), (PASSWORD, "canary")]),
            said(&[host, (USERNAME, "user"), (PASSWORD, "can\u{1b}ary")]),
        ];
        assert_snapshot!(texts.join("\n"), @r"
        IMG_REGISTRY_AUTH_HOST: nothing: it is not set
        IMG_REGISTRY_AUTH_HOST: nothing: it is other.example, and not r.example
        IMG_REGISTRY_AUTH_HOST: failed: it is no host
        IMG_REGISTRY_AUTH_HOST: failed: it is not set, so IMG_REGISTRY_AUTH_BEARER_TOKEN is for no registry
        IMG_REGISTRY_AUTH_HOST: failed: it is not set, so IMG_REGISTRY_AUTH_USERNAME is for no registry
        IMG_REGISTRY_AUTH_HOST: failed: neither IMG_REGISTRY_AUTH_BEARER_TOKEN nor IMG_REGISTRY_AUTH_USERNAME is set
        IMG_REGISTRY_AUTH_HOST: failed: IMG_REGISTRY_AUTH_PASSWORD is not set
        IMG_REGISTRY_AUTH_HOST: failed: IMG_REGISTRY_AUTH_USERNAME is not set
        IMG_REGISTRY_AUTH_HOST: failed: IMG_REGISTRY_AUTH_BEARER_TOKEN is empty or has characters that no token has
        IMG_REGISTRY_AUTH_HOST: failed: IMG_REGISTRY_AUTH_USERNAME, IMG_REGISTRY_AUTH_PASSWORD: the user name has a colon
        IMG_REGISTRY_AUTH_HOST: failed: IMG_REGISTRY_AUTH_USERNAME, IMG_REGISTRY_AUTH_PASSWORD: the password has control characters
        ");
    }
}
