//! Removing images by Docker's rules: when a name goes, when the image goes, and when neither may.

use crate::{
    image::Image,
    store::{ImageStore, Inner, Pins},
};
use std::collections::HashSet;
use wharf_types::{ContainerId, Digest, Error, Reference, Result};

/// Who uses an image. A running container counts before a stopped one. One without id is not told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nobody.
    None,
    /// A container that does not run.
    Stopped(Option<ContainerId>),
    /// A running container.
    Running(Option<ContainerId>),
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteEvent {
    /// A name was taken away (its familiar form).
    Untagged(String),
    /// An image is gone.
    Deleted(Digest),
}

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// In the order for the client.
    pub events: Vec<DeleteEvent>,
    /// Unpacked layers (chain ids, base first) that no image needs any more. Pass them to [`ImageStore::release_layers`], which
    /// checks again.
    pub chains: Vec<Digest>,
}

impl ImageStore {
    /// Removes the name `text`, or the image when `text` is an id or its last name; with it, unless `noprune`, those ancestors
    /// that nothing else holds. `force` overrides several names and stopped containers, never running ones.
    ///
    /// # Errors
    /// `NotFound` `No such image: …`, and `Conflict` with Docker's `conflict: unable to …` texts; nothing was changed then.
    pub fn delete(&self, text: &str, force: bool, noprune: bool, in_use: &dyn Fn(&Digest) -> Usage) -> Result<Deleted> {
        let pins = self.0.change();
        let image = self.resolve(text)?;
        let mut work = Removal { store: &self.0, pins: &pins, in_use, done: Deleted::default() };
        let by_id = image.id.as_str().starts_with(text) || image.id.hex().starts_with(text);
        if by_id {
            work.by_id(&image.id, force, noprune)?;
        } else {
            work.by_name(&image.id, text, force, noprune)?;
        }
        Ok(work.done)
    }
}

struct Removal<'a> {
    store: &'a Inner,
    pins: &'a Pins,
    in_use: &'a dyn Fn(&Digest) -> Usage,
    done: Deleted,
}

/// Why an image cannot go.
enum Conflict {
    Children,
    Running(Option<ContainerId>),
    Referenced,
    Stopped(Option<ContainerId>),
}

impl Removal<'_> {
    fn by_name(&mut self, id: &Digest, text: &str, force: bool, noprune: bool) -> Result<()> {
        let names = self.names(id);
        if !force && single(&names) {
            // Taking the only name away would leave an image that is in use without any name.
            if let Usage::Stopped(container) | Usage::Running(container) = (self.in_use)(id) {
                return Err(Error::conflict(format!(
                    "conflict: unable to remove repository reference \"{text}\" (must force) - {} is using its referenced image {}",
                    words("container", container.as_ref()),
                    id.short()
                )));
            }
        }
        let mut name = text.parse::<Reference>()?.or_latest();
        if let Some(digest) = name.digest().cloned() {
            name = name.with_digest(digest);
        }
        let mut going = vec![name.clone()];
        let same_repository = |r: &&Reference| **r != name && r.familiar_name() == name.familiar_name();
        // Digests go with the last tag of their repository.
        if name.digest().is_none() && !names.iter().filter(same_repository).any(|r| r.digest().is_none()) {
            going.extend(names.iter().filter(same_repository).cloned());
        }
        let last = names.iter().all(|n| going.contains(n));
        if last {
            match self.conflict(id, force, false) {
                // The name goes all the same; the image stays because something else holds it.
                Some(Conflict::Children | Conflict::Running(_) | Conflict::Stopped(_)) => self.untag(&going),
                Some(Conflict::Referenced) | None => {
                    self.untag(&going)?;
                    self.remove(id, noprune)
                }
            }
        } else {
            self.untag(&going)
        }
    }

    fn by_id(&mut self, id: &Digest, force: bool, noprune: bool) -> Result<()> {
        let names = self.names(id);
        // Names of one repository with at most one tag go with the id; more need force.
        if let Some(conflict) = self.conflict(id, force, !single(&names)) {
            return Err(conflict.error(id));
        }
        self.untag(&names)?;
        self.remove(id, noprune)
    }

    /// Removes an image that has no names any more, then its ancestors as far as nothing holds them.
    fn remove(&mut self, id: &Digest, noprune: bool) -> Result<()> {
        let mut next = Some(id.clone());
        while let Some(image) = next.and_then(|id| self.store.index().images.get(&id).cloned()) {
            self.store.forget(&image, self.pins)?;
            self.done.events.push(DeleteEvent::Deleted(image.id.clone()));
            self.free_layers(&image);
            next = image.parent.clone().filter(|parent| !noprune && self.conflict(parent, false, true).is_none());
        }
        Ok(())
    }

    fn free_layers(&mut self, gone: &Image) {
        let used: HashSet<Digest> = self.store.index().images.values().flat_map(|i| i.chain_ids()).collect();
        for chain in gone.chain_ids().into_iter().rev() {
            if !used.contains(&chain) && !self.done.chains.contains(&chain) {
                self.done.chains.insert(0, chain);
            }
        }
    }

    /// The first reason against removal, in Docker's order. `references` says whether names are one.
    fn conflict(&self, id: &Digest, force: bool, references: bool) -> Option<Conflict> {
        if self.store.index().images.values().any(|i| i.parent.as_ref() == Some(id)) {
            return Some(Conflict::Children);
        }
        match (self.in_use)(id) {
            Usage::Running(container) => Some(Conflict::Running(container)),
            _ if force => None,
            _ if references && !self.names(id).is_empty() => Some(Conflict::Referenced),
            Usage::Stopped(container) => Some(Conflict::Stopped(container)),
            Usage::None => None,
        }
    }

    fn names(&self, id: &Digest) -> Vec<Reference> {
        self.store.index().references.iter().filter(|(_, i)| *i == id).map(|(r, _)| r.clone()).collect()
    }

    fn untag(&mut self, names: &[Reference]) -> Result<()> {
        if !names.is_empty() {
            self.store.set_references(|all| all.retain(|r, _| !names.contains(r)))?;
        }
        self.done.events.extend(names.iter().map(|n| DeleteEvent::Untagged(n.to_string())));
        Ok(())
    }
}

impl Conflict {
    fn error(self, id: &Digest) -> Error {
        let (force, reason) = match self {
            Self::Children => ("cannot be forced", "image has dependent child images".to_owned()),
            Self::Running(c) => ("cannot be forced", format!("image is being used by {}", words("running container", c.as_ref()))),
            Self::Referenced => ("must be forced", "image is referenced in multiple repositories".to_owned()),
            Self::Stopped(c) => ("must be forced", format!("image is being used by {}", words("stopped container", c.as_ref()))),
        };
        Error::conflict(format!("conflict: unable to delete {} ({force}) - {reason}", id.short()))
    }
}

/// A container in a message.
fn words(what: &str, container: Option<&ContainerId>) -> String {
    container.map_or_else(|| format!("a {what}"), |id| format!("{what} {}", id.short()))
}

/// Whether all names are of one repository with at most one tag. No name at all counts as well: then there is nothing to choose.
fn single(names: &[Reference]) -> bool {
    let tags = names.iter().filter(|n| n.digest().is_none()).count();
    let repositories: HashSet<String> = names.iter().map(Reference::familiar_name).collect();
    tags <= 1 && repositories.len() <= 1
}

#[cfg(test)]
mod tests;
