//! The page of the documentation that says what is known of each registry.

use std::fmt::Write as _;

use super::facts::FACTS;
use super::{Fact, Mark, Modelled, Profile};

/// Writes `docs/registries.md`.
pub fn document() -> String {
    let mut page = String::from(HEAD);
    let mut names: Vec<&str> = Vec::new();
    for profile in Profile::all() {
        if !names.contains(&profile.name) {
            names.push(profile.name);
        }
    }
    for name in names {
        write_registry(&mut page, name);
    }
    page
}

fn write_registry(page: &mut String, name: &str) {
    let all = Profile::all();
    let variants: Vec<_> = all.iter().filter(|profile| profile.name == name).collect();
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## {name}\n\n");
    let labels: Vec<_> = variants
        .iter()
        .filter_map(|profile| profile.variant)
        .collect();
    if !labels.is_empty() {
        let _ = write!(page, "Doubles: {}.\n\n", labels.join("; "));
    }
    page.push_str("| what | mark | double | reported in |\n|---|---|---|---|\n");
    for fact in FACTS.iter().filter(|fact| fact.registry == name) {
        let text = fact.text.replace('|', "\\|");
        let (mark, modelled) = (mark(fact), modelled(fact));
        let _ = writeln!(
            page,
            "| {text} | {mark} | {modelled} | {} |",
            fact.sources.join(", ")
        );
    }
}

fn mark(fact: &Fact) -> &'static str {
    match fact.mark {
        Mark::Reported => "reported",
        Mark::General => "general knowledge",
        Mark::Contested => "contested",
    }
}

fn modelled(fact: &Fact) -> &'static str {
    match fact.modelled {
        Modelled::Yes => "yes",
        Modelled::BothWays => "both ways",
        Modelled::No => "no",
    }
}

const HEAD: &str = "\
# Registries

How real registries depart from the plain protocol, as far as it is known from public reports, and what the tests of
imgkit make of it. For each registry there are doubles: middleware before `img-registry`'s own protocol code that behaves
as the table says. The client pulls from and pushes to every one of them in `cargo test -p imgregistry --test registries`.

**The doubles are modelled on public reports, not run against the services.** What is tested against a real server is
docker-registry (the row `distribution`), open, with TLS and a password, with tokens, and with blobs in S3 that readers are sent
to; and go-containerregistry's registry with its API for referrers.

The marks: *reported* is a public report by somebody; *general knowledge* was not checked again; of what is *contested*,
reports contradict each other, and there is a double for each side. *Double* says whether a double behaves so.

This page is written by `imgtest::registry::document`, and a test fails when it is out of date.
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_in_the_documentation_is_this_one() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/registries.md");
        let found = fs_err::read_to_string(file).unwrap();
        assert!(
            found == document(),
            "out of date: cargo run -q -p imgtest --example registries_page > docs/registries.md"
        );
    }

    #[test]
    fn every_fact_is_of_a_registry_and_every_registry_has_facts() {
        let profiles: BTreeSet<_> = Profile::all().iter().map(|profile| profile.name).collect();
        let facts: BTreeSet<_> = FACTS.iter().map(|fact| fact.registry).collect();
        assert_eq!(profiles, facts);
    }

    #[test]
    fn contested_facts_have_a_double_for_each_side() {
        for fact in FACTS {
            let is_contested = fact.mark == Mark::Contested;
            assert_eq!(
                is_contested,
                fact.modelled == Modelled::BothWays,
                "{}",
                fact.text
            );
            let all = Profile::all();
            let doubles = all
                .iter()
                .filter(|profile| profile.name == fact.registry)
                .count();
            assert!(!is_contested || doubles >= 2, "{}", fact.text);
            let has_source = !fact.sources.is_empty() || fact.mark == Mark::General;
            assert!(has_source, "{}", fact.text);
        }
    }
}
