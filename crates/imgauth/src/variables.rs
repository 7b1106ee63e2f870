//! Credentials in variables, for one host: `IMG_REGISTRY_AUTH_*`.

use imgcore::RegistryHost;

use crate::host::canonical;
use crate::{Answer, Environment, Lookup, RegistryCredential, Resolution};

const HOST: &str = "IMG_REGISTRY_AUTH_HOST";
const USERNAME: &str = "IMG_REGISTRY_AUTH_USERNAME";
const PASSWORD: &str = "IMG_REGISTRY_AUTH_PASSWORD";
const BEARER: &str = "IMG_REGISTRY_AUTH_BEARER_TOKEN";

/// Looks into the variables. Without a host they are for nobody: a credential that every registry gets is a leak.
pub(crate) fn resolve(environment: &Environment, host: &RegistryHost) -> Resolution {
    let is_set = |name: &&str| environment.value(name).is_some();
    let answered = |answer| Resolution::new(None, vec![Lookup::new(HOST, answer)]);
    let Some(own) = environment.value(HOST) else {
        return match [BEARER, USERNAME, PASSWORD]
            .iter()
            .find(|name| is_set(name))
        {
            Some(name) => answered(Answer::Failed(format!(
                "it is not set, so {name} is for no registry"
            ))),
            None => answered(Answer::Nothing("it is not set".to_owned())),
        };
    };
    let Some(own) = own.to_str() else {
        return answered(Answer::Failed("it is no text".to_owned()));
    };
    if canonical(own) != canonical(host.as_str()) {
        return answered(Answer::Nothing(format!(
            "it is for another host than {host}"
        )));
    }
    match credential(environment) {
        Ok(credential) => {
            let answer = Answer::Found(credential.form().to_owned());
            Resolution::new(Some(credential), vec![Lookup::new(HOST, answer)])
        }
        Err(why) => answered(Answer::Failed(why)),
    }
}

fn credential(environment: &Environment) -> Result<RegistryCredential, String> {
    let text = |name: &str| match environment.value(name) {
        None => Ok(None),
        Some(value) => value
            .to_str()
            .map(Some)
            .ok_or_else(|| format!("{name} is no text")),
    };
    if let Some(token) = text(BEARER)? {
        return Ok(RegistryCredential::bearer(token));
    }
    match (text(USERNAME)?, text(PASSWORD)?) {
        (Some(username), Some(password)) => Ok(RegistryCredential::basic(username, password)),
        (Some(_), None) => Err(format!("{PASSWORD} is not set")),
        (None, Some(_)) => Err(format!("{USERNAME} is not set")),
        (None, None) => Err(format!("neither {USERNAME} nor {BEARER} is set")),
    }
}
