//! What a token is asked for: one scope for each repository.
//!
//! The form is that of the [token scope documentation][scope]: `repository:team/app:pull,push`.
//!
//! [scope]: https://distribution.github.io/distribution/spec/auth/scope/

use std::collections::BTreeMap;
use std::fmt;

use imgcore::Repository;

/// The most scopes that a request for a token names: some servers refuse long URLs.
pub const MAX_SCOPES: usize = 8;

/// What may be done with a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actions {
    pull: bool,
    push: bool,
    delete: bool,
}

impl Actions {
    /// Removing manifests, blobs and tags. Registries want it by name; it does not follow from `push`.
    pub const DELETE: Self = Self {
        pull: false,
        push: false,
        delete: true,
    };
    /// Reading.
    pub const PULL: Self = Self {
        pull: true,
        push: false,
        delete: false,
    };
    /// Writing, and reading with it: an upload asks for what is there already.
    pub const PUSH: Self = Self {
        pull: true,
        push: true,
        delete: false,
    };

    /// Returns what either allows.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            pull: self.pull || other.pull,
            push: self.push || other.push,
            delete: self.delete || other.delete,
        }
    }

    /// Returns whether everything that `other` allows is allowed here as well.
    pub fn contains(self, other: Self) -> bool {
        self.union(other) == self
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.pull, "pull"),
            (self.push, "push"),
            (self.delete, "delete"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
    }

    /// Reads the list behind a scope's last colon; names that are not known are left out.
    fn parse(text: &str) -> Self {
        text.split(',').fold(Self::default(), |all, name| {
            all.union(match name.trim() {
                "pull" => Self::PULL,
                "push" => Self {
                    push: true,
                    ..Self::default()
                },
                "delete" => Self::DELETE,
                _ => Self::default(),
            })
        })
    }
}

/// Actions on one repository.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::scope::{Actions, Scope};
///
/// let scope = Scope::new("team/app".parse()?, Actions::PUSH);
/// assert_eq!(scope.to_string(), "repository:team/app:pull,push");
/// assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    repository: Repository,
    actions: Actions,
}

impl Scope {
    /// Makes a scope of a repository's name [on its registry](super::url::Endpoint::repository).
    pub fn new(repository: Repository, actions: Actions) -> Self {
        Self {
            repository,
            actions,
        }
    }

    /// Reads one scope; `None` for other resources than repositories, and where no action is one that is known.
    pub fn parse(text: &str) -> Option<Self> {
        let (repository, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
        let actions = Actions::parse(actions);
        if actions == Actions::default() {
            return None;
        }
        Some(Self {
            repository: repository.parse().ok()?,
            actions,
        })
    }

    /// Returns the repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the actions.
    pub fn actions(&self) -> Actions {
        self.actions
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository:{}:", self.repository)?;
        for (at, name) in self.actions.names().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

/// The scopes of one token: the one that is needed now, and more that are wanted with it.
///
/// There is one scope for each repository, and at most [`MAX_SCOPES`]. The order is fixed: first the one that is
/// needed (some servers look at no other), then the others by name. Two sets that were made in different order are
/// equal, so that a set may be the key of a token.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::scope::{Actions, Scope, ScopeSet};
///
/// let mut scopes = ScopeSet::new(Scope::new("team/app".parse()?, Actions::PUSH));
/// scopes.add(Scope::new("base/os".parse()?, Actions::PULL));
/// assert_eq!(
///     scopes.to_string(),
///     "repository:team/app:pull,push repository:base/os:pull",
/// );
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeSet {
    needed: Scope,
    others: BTreeMap<Repository, Actions>,
}

impl ScopeSet {
    /// Makes a set of what is needed.
    pub fn new(needed: Scope) -> Self {
        Self {
            needed,
            others: BTreeMap::new(),
        }
    }

    /// Adds what is wanted as well; returns whether there was room.
    pub fn add(&mut self, scope: Scope) -> bool {
        if scope.repository == self.needed.repository {
            self.needed.actions = self.needed.actions.union(scope.actions);
            return true;
        }
        if let Some(actions) = self.others.get_mut(&scope.repository) {
            *actions = actions.union(scope.actions);
            return true;
        }
        let has_room = self.others.len() + 1 < MAX_SCOPES;
        if has_room {
            self.others.insert(scope.repository, scope.actions);
        }
        has_room
    }

    /// Adds what a challenge asks for: repositories only, read and written again.
    pub fn add_challenge(&mut self, scope: &str) {
        for scope in scope.split_ascii_whitespace().filter_map(Scope::parse) {
            self.add(scope);
        }
    }

    /// Returns the scope that is needed, which stands first.
    pub fn needed(&self) -> &Scope {
        &self.needed
    }

    /// Returns whether a token for this set is good for all of another one.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .iter()
            .all(|wanted| self.actions_on(&wanted.repository).contains(wanted.actions))
    }

    /// Walks over the scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        let others = self
            .others
            .iter()
            .map(|(repository, actions)| Scope::new(repository.clone(), *actions));
        std::iter::once(self.needed.clone()).chain(others)
    }

    fn actions_on(&self, repository: &Repository) -> Actions {
        if *repository == self.needed.repository {
            return self.needed.actions;
        }
        self.others.get(repository).copied().unwrap_or_default()
    }
}

impl From<Scope> for ScopeSet {
    fn from(needed: Scope) -> Self {
        Self::new(needed)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            write!(f, "{separator}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn scopes_of_repositories_are_read_and_others_are_not() {
        for (text, expected) in [
            ("repository:a/b:pull", Some("repository:a/b:pull")),
            ("repository:a/b:push,pull", Some("repository:a/b:pull,push")),
            ("repository:a:push", Some("repository:a:push")),
            ("repository:a:pull,*", Some("repository:a:pull")),
            ("repository:a:delete", Some("repository:a:delete")),
            ("repository:a:*", None),
            ("repository:a:", None),
            ("repository:a", None),
            ("repository:A:pull", None),
            ("repository:../x:pull", None),
            ("repository:a&scope=b:pull", None),
            ("registry:catalog:*", None),
            ("repository(plugin):a:pull", None),
            ("", None),
        ] {
            let read = Scope::parse(text).map(|scope| scope.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_needed_scope_comes_first_and_each_repository_once() {
        let mut scopes = ScopeSet::new(scope("repository:m:pull"));
        for text in [
            "repository:z:pull",
            "repository:a:pull",
            "repository:m:push",
            "repository:z:push",
        ] {
            assert!(scopes.add(scope(text)));
        }
        assert_eq!(
            scopes.to_string(),
            "repository:m:pull,push repository:a:pull repository:z:pull,push"
        );
    }

    #[test]
    fn order_of_adding_makes_no_other_set() {
        let make = |texts: [&str; 2]| {
            let mut scopes = ScopeSet::new(scope("repository:m:pull"));
            for text in texts {
                scopes.add(scope(text));
            }
            scopes
        };
        let texts = ["repository:a:pull", "repository:b:push"];
        assert_eq!(make(texts), make([texts[1], texts[0]]));
    }

    #[test]
    fn a_set_has_an_end() {
        let mut scopes = ScopeSet::new(scope("repository:m:pull"));
        let added = (0..100)
            .filter(|at| scopes.add(scope(&format!("repository:r{at}:pull"))))
            .count();
        assert_eq!((added, scopes.iter().count()), (MAX_SCOPES - 1, MAX_SCOPES));
        assert!(scopes.add(scope("repository:r0:push")), "this one is there");
    }

    #[test]
    fn a_challenge_adds_repositories_only() {
        let mut scopes = ScopeSet::new(scope("repository:a:pull"));
        scopes.add_challenge(
            "repository:proxy/a:pull  registry:catalog:* repository:a:delete nonsense",
        );
        assert_eq!(
            scopes.to_string(),
            "repository:a:pull,delete repository:proxy/a:pull"
        );
    }

    #[test]
    fn a_set_covers_smaller_ones() {
        let mut big = ScopeSet::new(scope("repository:a:pull,push"));
        big.add(scope("repository:b:pull"));
        for (text, expected) in [
            ("repository:a:pull", true),
            ("repository:b:pull", true),
            ("repository:b:push", false),
            ("repository:a:delete", false),
            ("repository:c:pull", false),
        ] {
            assert_eq!(big.covers(&scope(text).into()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_again(text in "repository:[a-z/.]{1,8}:(pull|push|delete|,){1,4}|.{0,20}") {
            if let Some(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }
    }
}
