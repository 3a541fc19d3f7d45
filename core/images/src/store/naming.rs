//! Giving names to images.

use super::{ImageDoc, Inner, image_doc};
use crate::image::Image;
use std::sync::{Arc, PoisonError};
use wharf_types::{Digest, Error, Reference, Result, Timestamp};

/// A name that an image is to get.
#[derive(Clone, Debug)]
pub struct NewName {
    /// The name, `latest` where it has neither tag nor digest.
    pub reference: Reference,
    /// The id of the only other image that may lose it, empty for none; when not given, any may.
    pub holder: Option<String>,
}

impl From<Reference> for NewName {
    fn from(reference: Reference) -> Self {
        Self { reference, holder: None }
    }
}

impl From<&Reference> for NewName {
    fn from(reference: &Reference) -> Self {
        reference.clone().into()
    }
}

impl Inner {
    /// Whether the image `id`, which need not be known yet, may have a name; for callers that hold the change lock.
    ///
    /// # Errors
    /// As [`super::ImageStore::tag`].
    pub(crate) fn may_name(&self, id: &Digest, name: &NewName) -> Result<()> {
        let reference = nameable(&name.reference)?;
        let Some(expected) = &name.holder else { return Ok(()) };
        if self.index().lookup(&reference).is_some_and(|holder| holder.id != *id && holder.id.as_str() != expected) {
            return Err(Error::conflict(format!("the name {reference} was given to another image meanwhile")));
        }
        Ok(())
    }

    /// Makes an image whose blobs are published known, by a name if it is to have one; one that may not have it stays unknown.
    ///
    /// # Errors
    /// As [`super::ImageStore::tag`].
    pub(crate) fn add_named(&self, image: Image, name: Option<&NewName>) -> Result<Arc<Image>> {
        let _change = self.change();
        let Some(name) = name else { return self.add(image) };
        self.may_name(&image.id, name)?;
        let image = self.add(image)?;
        self.tag(&image.id, &name.reference)?;
        let known = self.index().images.get(&image.id).cloned();
        Ok(known.unwrap_or(image))
    }

    /// Gives the image `id` a name that it may have; for callers that hold the change lock. Returns the image that had it before, if
    /// it was another one.
    pub(crate) fn tag(&self, id: &Digest, reference: &Reference) -> Result<Option<Digest>> {
        let before = self.name(id, reference)?;
        let Some(image) = self.index().images.get(id).cloned() else { return Ok(before) };
        let last_tagged = Some(Timestamp::now());
        self.documents.put(id.hex(), &ImageDoc { last_tagged, ..image_doc(&image) })?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = index.images.get_mut(id) {
            Arc::make_mut(image).last_tagged = last_tagged;
        }
        Ok(before)
    }

    /// The same for a name that comes with the image, which is no tagging: nobody chose it here.
    pub(crate) fn name(&self, id: &Digest, reference: &Reference) -> Result<Option<Digest>> {
        let reference = nameable(reference)?;
        if !self.index().images.contains_key(id) {
            return Err(Error::not_found(format!("No such image: {id}")));
        }
        let mut before = None;
        self.set_references(|all| before = all.insert(reference, id.clone()))?;
        Ok(before.filter(|old| old != id))
    }
}

fn nameable(reference: &Reference) -> Result<Reference> {
    if reference.familiar_name() == "sha256" {
        return Err(Error::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
    }
    Ok(reference.clone().or_latest())
}
