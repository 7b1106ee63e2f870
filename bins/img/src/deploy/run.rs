//! Carrying out a request against registries, and what is said about it.

use std::fmt::Write as _;

use imgpush::{Location, Options, Report};
use imgstore::{Chain, with_causes};
use serde_json::{Value, json};

use super::batch::{Groups, Outcome, SharingOverrides};
use super::request::Request;
use super::sign::Signers;
use crate::context::Context;
use crate::network::Network;
use crate::push::{self, ShowArguments, reference, summary};
use crate::report::Failure;

/// How a request is carried out.
#[derive(Debug)]
pub(crate) struct Deployment<'a> {
    pub(crate) options: Options,
    pub(crate) sharing: SharingOverrides,
    pub(crate) show: &'a ShowArguments,
}

impl Deployment<'_> {
    /// Pushes what a request says. Everything that can be checked is checked before anything is sent, and signed.
    ///
    /// # Errors
    ///
    /// Fails if any operation failed. What came of each has been said then.
    pub(crate) fn run(
        &self,
        context: &Context,
        request: &Request,
        signers: &mut Signers,
        network: &Network,
        sources: &Chain,
    ) -> Result<(), Failure> {
        let mut groups = Groups::of(request, sources, &self.options, &self.sharing)?;
        if self.show.dry_run {
            let all = groups.all.iter();
            let plans = all.map(|group| (group.images.clone(), &group.options));
            return push::print_plans(context, network, plans, self.show.json);
        }
        for step in groups.steps() {
            let signatures = signers.sign(context, step)?;
            groups.sign(step, signatures);
        }
        context.check_not_cancelled()?;
        let display = self.show.display(context);
        let mut reports = Vec::new();
        for group in &groups.all {
            let (images, options) = (group.images.clone(), &group.options);
            reports.push(push::push(context, network, images, options, display)?);
        }
        let outcomes = groups.outcomes(&reports);
        let report = push::merged(reports.iter().cloned());
        self.tell(context, &outcomes, &report)?;
        let failed = outcomes.iter().filter(|it| !it.is_done()).count();
        if failed == 0 {
            return Ok(());
        }
        match outcomes.as_slice() {
            [only] if only.errors.len() == 1 => {
                let failure = Failure::from(only.errors[0].clone());
                Err(failure.in_front(only.name()))
            }
            all => {
                say_errors(context, all);
                let count = all.len();
                Err(Failure::new(format!(
                    "{failed} of {count} operations failed"
                )))
            }
        }
    }

    fn tell(
        &self,
        context: &Context,
        outcomes: &[Outcome<'_>],
        report: &Report,
    ) -> Result<(), Failure> {
        if self.show.json {
            let mut line: Value = serde_json::from_slice(&report.to_json())?;
            line["event"] = "deployed".into();
            line["operations"] = outcomes.iter().map(Outcome::to_json).collect();
            return context.report.print(format_args!("{line}\n"));
        }
        let mut references = String::new();
        for outcome in outcomes.iter().filter(|it| it.is_done()) {
            for reference in outcome.references() {
                references.push_str(&reference);
                references.push('\n');
            }
        }
        context.report.print(references)?;
        if !context.report.owns_stdout() {
            // The answer of a worker is the references alone.
            return Ok(());
        }
        let mut text = String::new();
        for outcome in outcomes.iter().filter(|_| outcomes.len() > 1) {
            let operation = format!("operation {}", outcome.step.place);
            let done = if outcome.is_done() { "done" } else { "failed" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{operation:<15} {}: {done}", outcome.name());
        }
        text.push_str(&summary(report));
        context.report.error_text(text);
        Ok(())
    }
}

impl Outcome<'_> {
    fn is_done(&self) -> bool {
        self.errors.is_empty()
    }

    /// Names what was to be there.
    fn name(&self) -> String {
        match self.step.tags.as_slice() {
            [] => format!("{}@{}", self.destination, self.step.operation.root.digest),
            tags => format!("{}:{}", self.destination, tags.join(",")),
        }
    }

    fn references(&self) -> Vec<String> {
        let digest = &self.step.operation.root.digest;
        let to: &Location = self.destination;
        match self.step.tags.as_slice() {
            [] => vec![reference(to, None, digest)],
            tags => {
                let tags = tags.iter();
                tags.map(|tag| reference(to, Some(tag.as_str()), digest))
                    .collect()
            }
        }
    }

    fn to_json(&self) -> Value {
        let errors = self.errors.iter();
        json!({
            "operation": self.step.place,
            "command": self.step.operation.command.as_str(),
            "destination": self.destination.to_string(),
            "digest": self.step.operation.root.digest.to_string(),
            "tags": self.step.tags,
            "done": self.is_done(),
            "errors": errors.map(|error| with_causes(*error)).collect::<Vec<_>>(),
        })
    }
}

/// Says each error once, though several operations fail for it.
fn say_errors(context: &Context, outcomes: &[Outcome<'_>]) {
    for outcome in outcomes {
        for &error in &outcome.errors {
            let failure = Failure::from(error.clone());
            let operation = format!("operation {}: {}", outcome.step.place, outcome.name());
            context.report.failure(&failure.in_front(operation));
        }
    }
}
