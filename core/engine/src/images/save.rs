//! Archives of images.

use super::Images;
use crate::{ByteStream, pipe::produce};
use std::sync::Arc;
use wharf_images::{Image, Step};
use wharf_types::Result;

impl Images {
    /// An archive of the images that `names` mean (`docker save`).
    ///
    /// # Errors
    /// 404 for the first name that means none.
    pub fn save(&self, names: &[String]) -> Result<ByteStream> {
        let saved = self.store.to_save(names)?;
        for one in &saved {
            self.event("save", one.image.id.as_str(), one.image.id.as_str());
        }
        let store = self.store.clone();
        Ok(produce(move |pipe| store.save(&saved, pipe)))
    }

    /// How an image came to be, newest step first.
    ///
    /// # Errors
    /// 404.
    pub fn history(&self, name: &str) -> Result<(Arc<Image>, Vec<Step>)> {
        let image = self.get(name)?;
        let steps = self.store.history(&image);
        Ok((image, steps))
    }
}
