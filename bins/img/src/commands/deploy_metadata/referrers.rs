//! Documents that refer to the image and are pushed after it.

use std::collections::BTreeMap;

use imgcore::deploy::RootKind;

use super::ReferrerFlags;
use super::image::{DeployedImage, Extras};
use crate::cli::value::{IndexAndFile, IndexesAndFile};
use crate::context::Context;
use crate::report::{Explain as _, Failure};

impl ReferrerFlags {
    /// Reads the referrers by ascending index; each must refer to something that `image` has.
    pub(super) fn read(
        &self,
        context: &Context,
        image: &DeployedImage,
    ) -> Result<Vec<DeployedImage>, Failure> {
        let kinds = self.kinds()?;
        let roots: BTreeMap<usize, _> = self
            .root_paths
            .iter()
            .map(|IndexAndFile { index, file }| (*index, file))
            .collect();
        self.check_no_strays(&kinds)?;
        let mut referrers = Vec::with_capacity(roots.len());
        for (index, path) in roots {
            let Some(kind) = kinds.get(&index) else {
                let message = format!("--referrer-root-path {index}: nobody says what it is");
                return Err(Failure::new(message)
                    .hint(format!("add --referrer-root-kind {index}=manifest")));
            };
            let manifests = self.manifests(index);
            let extras = Extras::default();
            let referrer = DeployedImage::read(context, *kind, path, &manifests, &extras)?;
            match referrer.subject {
                Some(subject) if image.contains(subject) => referrers.push(referrer),
                Some(subject) => {
                    let message = format!(
                        "{}: it refers to {subject}, which is no part of the image",
                        path.display()
                    );
                    return Err(Failure::new(message));
                }
                None => {
                    let message = format!("{}: it refers to nothing", path.display());
                    return Err(Failure::new(message).hint("a referrer has a subject"));
                }
            }
        }
        Ok(referrers)
    }

    fn kinds(&self) -> Result<BTreeMap<usize, RootKind>, Failure> {
        let mut kinds = BTreeMap::new();
        for flag in &self.root_kinds {
            let place = || format!("--referrer-root-kind {}={}", flag.key, flag.value);
            let index = flag.key.parse().explain(place)?;
            kinds.insert(index, flag.value.parse().explain(place)?);
        }
        Ok(kinds)
    }

    fn manifests(&self, referrer: usize) -> Vec<IndexAndFile> {
        self.manifest_paths
            .iter()
            .filter(|flag| flag.first == referrer)
            .map(|IndexesAndFile { second, file, .. }| IndexAndFile {
                index: *second,
                file: file.clone(),
            })
            .collect()
    }

    /// What belongs to no root was meant for one that is missing.
    fn check_no_strays(&self, kinds: &BTreeMap<usize, RootKind>) -> Result<(), Failure> {
        let has_root = |index: usize| {
            let mut roots = self.root_paths.iter();
            roots.any(|root| root.index == index)
        };
        let manifests = self.manifest_paths.iter().map(|flag| flag.first);
        match kinds
            .keys()
            .copied()
            .chain(manifests)
            .find(|index| !has_root(*index))
        {
            Some(index) => Err(Failure::new(format!("there is no referrer {index}"))
                .hint(format!("add --referrer-root-path {index}=FILE"))),
            None => Ok(()),
        }
    }
}
