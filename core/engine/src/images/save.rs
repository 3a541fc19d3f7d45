//! Archives of images.

use super::{Images, fits};
use crate::{ByteStream, pipe::produce};
use std::sync::Arc;
use wharf_images::{Image, Platform, Saved, Step};
use wharf_types::Result;

impl Images {
    /// The images that `name` means, and their names, for [`Images::save`].
    ///
    /// # Errors
    /// 404 when it means none.
    pub fn to_save(&self, name: &str) -> Result<Vec<Saved>> {
        self.store.to_save(name)
    }

    /// An archive of images (`docker save`).
    ///
    /// # Errors
    /// 404 for one for none of `platforms` when some are named.
    pub async fn save(&self, images: Vec<Saved>, platforms: &[Platform]) -> Result<ByteStream> {
        let saved = Saved::merge(images);
        saved.iter().try_for_each(|one| fits(&one.image, platforms))?;
        for one in &saved {
            self.event("save", one.image.id.as_str(), one.image.id.as_str());
        }
        let store = self.store.clone();
        produce(move |pipe| store.save(&saved, pipe)).await
    }

    /// How an image came to be, newest step first.
    ///
    /// # Errors
    /// As [`Images::get_for`].
    pub fn history(&self, name: &str, platforms: &[Platform]) -> Result<(Arc<Image>, Vec<Step>)> {
        let image = self.get_for(name, platforms)?;
        let steps = self.store.history(&image);
        Ok((image, steps))
    }
}
