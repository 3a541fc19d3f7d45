//! Archives of images.

use super::{Images, fits};
use crate::{ByteStream, pipe::produce};
use std::sync::Arc;
use wharf_images::{Image, Platform, Step};
use wharf_types::Result;

impl Images {
    /// An archive of the images that `names` mean (`docker save`).
    ///
    /// # Errors
    /// 404 for the first name that means none, or one for none of `platforms` when some are named.
    pub async fn save(&self, names: &[String], platforms: &[Platform]) -> Result<ByteStream> {
        let saved = self.store.to_save(names)?;
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
