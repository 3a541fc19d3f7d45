//! How an image came to be.

use crate::{image::Image, store::ImageStore};
use wharf_types::{Digest, Reference, Timestamp};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The image that this step made, as far as it is known here.
    pub id: Option<Digest>,
    /// When.
    pub created: Option<Timestamp>,
    /// By which command.
    pub created_by: String,
    /// The names of the image.
    pub tags: Vec<Reference>,
    /// Length of the files that the step made, in bytes.
    pub size: u64,
    /// A message.
    pub comment: String,
}

impl ImageStore {
    /// The steps of an image, newest first.
    pub fn history(&self, image: &Image) -> Vec<Step> {
        let mut sizes = image.layers.iter().map(|l| l.size);
        let mut steps: Vec<Step> = image
            .config
            .history
            .iter()
            .map(|h| Step {
                id: None,
                created: h.created,
                created_by: h.created_by.clone(),
                tags: Vec::new(),
                size: if h.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
                comment: h.comment.clone(),
            })
            .collect();
        steps.reverse();
        let mut next = self.get(&image.id);
        for step in &mut steps {
            let Some(made) = next else { break };
            (step.id, step.tags) = (Some(made.id.clone()), made.tags.clone());
            next = made.parent.as_ref().and_then(|p| self.get(p));
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use crate::{CommitOptions, RunConfig, store::tests::Fixture};
    use wharf_types::Timestamp;

    #[test]
    fn steps_know_their_images() {
        let f = Fixture::new();
        let base = f.add("a", &["base"], &["base:1"]);
        let options = CommitOptions {
            parent: base.id.clone(),
            name: None,
            config: RunConfig::default(),
            author: String::new(),
            comment: "why".into(),
            created_by: "sh".into(),
            created: Timestamp::from_nanos(1),
        };
        let made = f.store.commit(options, |out| Ok(out.write_all(b"layer")?), &f.layers).unwrap();
        let steps = f.store.history(&made);
        assert_eq!((steps[0].id.as_ref(), steps[0].size, steps[0].comment.as_str()), (Some(&made.id), 5, "why"));
        assert_eq!((steps[1].id.as_ref(), steps[1].size, steps[1].tags[0].to_string()), (Some(&base.id), 400, "base:1".to_owned()));
        f.store.delete("base:1", true, false, &|_| crate::Usage::None).ok();
        assert_eq!(f.store.history(&made).len(), 2);
    }
}
