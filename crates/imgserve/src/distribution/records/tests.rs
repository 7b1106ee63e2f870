//! Both kinds of records do the same.

use std::sync::Arc;

use imgcore::{MediaType, Tag};
use imgstore::Durability;
use imgstore::blocking::block_on;
use proptest::prelude::*;

use super::*;

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::sha256_of(text.as_bytes())
}

fn record(text: &str, subject: Option<Digest>) -> ManifestRecord {
    let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes());
    descriptor.annotations.insert("text".into(), text.into());
    descriptor.artifact_type = Some("application/vnd.example".into());
    ManifestRecord::new(descriptor, subject)
}

/// Runs a test on records in memory, on files, and says how to open the files again.
fn on_both(test: impl Fn(&dyn Fn() -> Arc<dyn Records>)) {
    let memory = MemoryRecords::new();
    test(&|| Arc::new(memory.clone()));
    for durability in [Durability::Program, Durability::Machine] {
        let directory = tempfile::tempdir().unwrap();
        let open = || DirectoryRecords::open(directory.path()).unwrap();
        test(&|| Arc::new(open().with_durability(durability)));
    }
}

fn texts(tags: Option<Vec<Tag>>) -> Vec<String> {
    let tags = tags.expect("a repository");
    tags.iter().map(|tag| tag.as_str().to_owned()).collect()
}

#[test]
fn blobs_belong_to_one_repository() {
    on_both(|open| {
        let (one, below) = (repository("team"), repository("team/app"));
        let blob = digest("blob");
        assert_eq!(block_on(open().blob(&one, &blob)).unwrap(), None);
        assert!(!block_on(open().unlink_blob(&one, &blob)).unwrap());
        block_on(open().link_blob(&one, &blob, 1 << 40)).unwrap();
        assert_eq!(block_on(open().blob(&one, &blob)).unwrap(), Some(1 << 40));
        assert_eq!(block_on(open().blob(&below, &blob)).unwrap(), None);
        assert!(block_on(open().unlink_blob(&one, &blob)).unwrap());
        assert!(!block_on(open().unlink_blob(&one, &blob)).unwrap());
    });
}

#[test]
fn a_digest_is_held_until_the_last_repository_lets_it_go() {
    on_both(|open| {
        let (one, below) = (repository("team"), repository("team/app"));
        let blob = digest("blob");
        let holds = |digest: &Digest| block_on(open().holds(digest)).unwrap();
        assert!(!holds(&blob));
        for repository in [&one, &below] {
            block_on(open().link_blob(repository, &blob, 4)).unwrap();
        }
        assert!(holds(&blob));
        block_on(open().unlink_blob(&one, &blob)).unwrap();
        assert!(holds(&blob));
        block_on(open().unlink_blob(&below, &blob)).unwrap();
        assert!(!holds(&blob));

        let manifest = record("manifest", None);
        block_on(open().put_manifest(&below, &manifest)).unwrap();
        assert!(holds(&manifest.descriptor.digest));
        block_on(open().remove_manifest(&below, &manifest.descriptor.digest)).unwrap();
        assert!(!holds(&manifest.descriptor.digest));
    });
}

#[test]
fn a_manifest_goes_with_its_tags_and_from_the_referrers() {
    on_both(|open| {
        let app = repository("app");
        let subject = digest("subject");
        let (one, two) = (record("one", Some(subject)), record("two", Some(subject)));
        for record in [&one, &two] {
            block_on(open().put_manifest(&app, record)).unwrap();
        }
        let (one_digest, two_digest) = (one.descriptor.digest, two.descriptor.digest);
        for (name, leads_to) in [("a", one_digest), ("A", two_digest), ("b", one_digest)] {
            block_on(open().put_tag(&app, &tag(name), &leads_to)).unwrap();
        }
        let mut both = vec![one_digest, two_digest];
        both.sort();
        assert_eq!(block_on(open().referrers(&app, &subject)).unwrap(), both);
        let found = block_on(open().manifest(&app, &one_digest)).unwrap();
        assert_eq!(found.as_ref(), Some(&one));

        assert!(block_on(open().remove_manifest(&app, &one_digest)).unwrap());
        assert!(!block_on(open().remove_manifest(&app, &one_digest)).unwrap());
        assert_eq!(block_on(open().manifest(&app, &one_digest)).unwrap(), None);
        let left = block_on(open().tags(&app, "", 10)).unwrap();
        assert_eq!(texts(left), ["A"]);
        let left = block_on(open().referrers(&app, &subject)).unwrap();
        assert_eq!(left, [two_digest]);
        let other = block_on(open().referrers(&repository("other"), &subject));
        assert_eq!(other.unwrap(), []);
    });
}

#[test]
fn tags_move_and_differ_in_capitals() {
    on_both(|open| {
        let app = repository("app");
        let (small, large) = (tag("latest"), tag("Latest"));
        block_on(open().put_tag(&app, &small, &digest("1"))).unwrap();
        block_on(open().put_tag(&app, &large, &digest("2"))).unwrap();
        block_on(open().put_tag(&app, &small, &digest("3"))).unwrap();
        let leads_to = |tag: &Tag| block_on(open().tag(&app, tag)).unwrap();
        assert_eq!(leads_to(&small), Some(digest("3")));
        assert_eq!(leads_to(&large), Some(digest("2")));
        assert!(block_on(open().remove_tag(&app, &large)).unwrap());
        assert!(!block_on(open().remove_tag(&app, &large)).unwrap());
        assert_eq!(leads_to(&small), Some(digest("3")));
    });
}

#[test]
fn tags_are_listed_in_the_order_of_their_bytes() {
    on_both(|open| {
        let app = repository("app");
        assert_eq!(block_on(open().tags(&app, "", 10)).unwrap(), None);
        for name in ["b", "a", "_", "1.10", "1.9", "Z"] {
            block_on(open().put_tag(&app, &tag(name), &digest("x"))).unwrap();
        }
        let list = |after: &str, limit| texts(block_on(open().tags(&app, after, limit)).unwrap());
        assert_eq!(list("", 10), ["1.10", "1.9", "Z", "_", "a", "b"]);
        assert_eq!(list("1.9", 2), ["Z", "_"]);
        assert_eq!(list("1.95", 1), ["Z"]);
        assert_eq!(list("b", 10), [""; 0]);
        assert_eq!(list("", 0), [""; 0]);
        assert_eq!(
            block_on(open().tags(&repository("ap"), "", 1)).unwrap(),
            None
        );
    });
}

#[test]
fn a_repository_stays_when_it_is_empty() {
    on_both(|open| {
        let app = repository("app");
        block_on(open().put_tag(&app, &tag("a"), &digest("1"))).unwrap();
        block_on(open().remove_tag(&app, &tag("a"))).unwrap();
        assert_eq!(texts(block_on(open().tags(&app, "", 10)).unwrap()), [""; 0]);
        let other = repository("other");
        block_on(open().link_blob(&other, &digest("1"), 1)).unwrap();
        assert_eq!(
            texts(block_on(open().tags(&other, "", 10)).unwrap()),
            [""; 0]
        );
    });
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let records = DirectoryRecords::open(directory.path()).unwrap();
    let app = repository("app");
    block_on(records.put_tag(&app, &tag("a"), &digest("1"))).unwrap();
    let file = directory.path().join("repositories/app/_tags/a=");
    fs_err::write(file, "sha256:12").unwrap();
    let error = block_on(records.tag(&app, &tag("a"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let text = error.to_string();
    assert!(
        text.ends_with("repositories/app/_tags/a= is damaged"),
        "{text}"
    );
}

#[test]
fn opening_removes_what_was_left_unfinished() {
    let directory = tempfile::tempdir().unwrap();
    DirectoryRecords::open(directory.path()).unwrap();
    let left = directory.path().join("unfinished/.tmpXYZ");
    fs_err::write(&left, "half").unwrap();
    DirectoryRecords::open(directory.path()).unwrap();
    assert!(!left.exists());
}

proptest! {
    #[test]
    fn every_tag_has_one_file_on_every_file_system(
        one in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}",
        flips in prop::collection::vec(any::<bool>(), 128),
    ) {
        let flipped: String = one.chars().zip(flips).map(|(letter, flip)| if flip { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }).collect();
        let (one, other) = (tag(&one), tag(&flipped));
        let names = [&one, &other].map(|tag| directory::file_of_tag(tag.as_str()));
        prop_assert_eq!(one == other, names[0].eq_ignore_ascii_case(&names[1]));
        for (tag, name) in [(one, &names[0]), (other, &names[1])] {
            prop_assert!(name.len() <= 255);
            prop_assert_eq!(directory::tag_of_file(name), Some(tag));
        }
    }
}
