//! Runs helper programs for a keychain, and remembers what they said while it holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::options::KeychainOptions;
use crate::bazel::{CredentialHelper, HelperAnswer};
use crate::docker::{self, HelperName};
use crate::memo::Memo;
use crate::program::{self, Output};
use crate::{RegistryCredential, Result};

/// How long an answer holds that does not say so itself.
const HOLDS: Duration = Duration::from_secs(5 * 60);

/// How long a helper that failed is left alone: a copy of a hundred images would otherwise wait for it a hundred times.
const FAILURE_HOLDS: Duration = Duration::from_secs(30);

/// What a helper said, or in what way it failed.
type Said<T> = Result<T, String>;

/// What a helper said or in what way it failed, and until when that holds.
type Held<T> = (Said<T>, SystemTime);

/// A question: which program, and its input.
type Question = (PathBuf, String);

/// The helper programs of one keychain.
#[derive(Debug, Default)]
pub(super) struct HelperPrograms {
    bazel: Memo<Question, Said<Arc<HelperAnswer>>>,
    docker: Memo<Question, Said<Option<RegistryCredential>>>,
}

impl HelperPrograms {
    /// Asks a Bazel credential helper for the headers of a URI.
    pub(super) fn ask_bazel(
        &self,
        helper: &CredentialHelper,
        uri: &str,
        options: &KeychainOptions,
    ) -> Held<Arc<HelperAnswer>> {
        let now = (options.clock)();
        let program = match helper.find(options.workspace.as_deref(), &options.environment) {
            Ok(program) => program,
            Err(error) => return (Err(error.chain()), after(now, FAILURE_HOLDS)),
        };
        let question = (program.clone(), uri.to_owned());
        self.bazel.get_or_ask(question, now, || {
            let said = run_bazel(&program, uri, options);
            match said {
                Ok(answer) if answer.expires().is_some_and(|until| until <= now) => {
                    let why = "what it gives held until a time that is over";
                    (Err(why.to_owned()), after(now, FAILURE_HOLDS))
                }
                Ok(answer) => {
                    let until = answer.expires().unwrap_or_else(|| after(now, HOLDS));
                    (Ok(Arc::new(answer)), until)
                }
                Err(why) => (Err(why), after(now, FAILURE_HOLDS)),
            }
        })
    }

    /// Forgets what helpers said to any of these inputs.
    pub(super) fn forget(&self, inputs: &[String]) {
        self.bazel.forget(|(_, input)| inputs.contains(input));
        self.docker.forget(|(_, input)| inputs.contains(input));
    }

    /// Asks a `docker-credential-` helper for the credential that it keeps under a name.
    pub(super) fn ask_docker(
        &self,
        helper: &HelperName,
        server: &str,
        options: &KeychainOptions,
    ) -> Held<Option<RegistryCredential>> {
        let name = helper.program();
        let now = (options.clock)();
        let program = match program::find(&name, &options.environment) {
            Ok(program) => program,
            Err(error) => return (Err(error.chain()), after(now, FAILURE_HOLDS)),
        };
        let question = (program.clone(), server.to_owned());
        self.docker.get_or_ask(question, now, || {
            let said = run_docker(&program, &name, server, options);
            let holds = if said.is_ok() { HOLDS } else { FAILURE_HOLDS };
            (said, after(now, holds))
        })
    }
}

fn after(now: SystemTime, duration: Duration) -> SystemTime {
    now.checked_add(duration).unwrap_or(now)
}

fn run_bazel(program: &Path, uri: &str, options: &KeychainOptions) -> Said<HelperAnswer> {
    let input = json!({ "uri": uri }).to_string();
    let output = run(program, &input, options)?;
    if !output.status.success() {
        return Err(failure(&output, &input, &program.display().to_string()));
    }
    HelperAnswer::parse(&output.stdout).map_err(|error| error.chain())
}

fn run_docker(
    program: &Path,
    name: &str,
    server: &str,
    options: &KeychainOptions,
) -> Said<Option<RegistryCredential>> {
    let output = run(program, server, options)?;
    if output.status.success() {
        return docker::parse_answer(&output.stdout).map_err(|error| error.chain());
    }
    if docker::says_not_found(&output.stdout) {
        return Ok(None);
    }
    Err(failure(&output, server, name))
}

fn run(program: &Path, input: &str, options: &KeychainOptions) -> Said<Output> {
    program::get(
        program,
        input.as_bytes(),
        &options.environment,
        options.bounds,
    )
    .map_err(|error| error.chain())
}

/// Says how it ended and how to see more. What it wrote stays unseen: it may hold what it was asked for.
fn failure(output: &Output, input: &str, program: &str) -> String {
    let how = program::describe(output.status);
    format!("{how}; `echo '{input}' | {program} get` shows why")
}
