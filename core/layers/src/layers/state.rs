//! What there is, in memory, and the stacks that follow from it.

use crate::apply::RootAttributes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};
use wharf_types::{ContainerId, Digest, Error, Result};

/// A symbolic link to the top layer. It is metadata, so the sync that makes the container's document durable covers it.
pub(super) const PARENT_LINK: &str = "parent";
/// Where that link leads for an image without layers.
pub(super) const NO_PARENT: &str = "none";

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) layers: HashMap<Digest, LayerDoc>,
    pub(super) making: HashSet<Digest>,
    /// `None` for one whose making was interrupted: it can only be removed.
    pub(super) rw: HashMap<ContainerId, Option<Stack>>,
}

/// What a rw layer stands on.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// The layer it was made on; `None` for an image without layers.
    pub(super) top: Option<Digest>,
    /// That layer and those below it, top first, as far as they are known.
    pub(super) layers: Arc<[Digest]>,
}

/// `layers/<hex>/layer.json`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LayerDoc {
    pub(super) chain: Digest,
    pub(super) diff_id: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<Digest>,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<RootAttributes>,
}

impl State {
    /// The layer and those below it, top first, as far as they are known.
    pub(super) fn below(&self, top: &Digest) -> Vec<Digest> {
        let mut stack = Vec::new();
        let mut next = self.layers.get(top);
        while let Some(layer) = next {
            stack.push(layer.chain.clone());
            // A loop can only come from a document edited by hand.
            next = layer.parent.as_ref().filter(|p| !stack.contains(p)).and_then(|p| self.layers.get(p));
        }
        stack
    }

    pub(super) fn stack(&self, top: Option<Digest>) -> Stack {
        let layers = top.as_ref().map(|t| self.below(t)).unwrap_or_default().into();
        Stack { top, layers }
    }

    /// Every layer of the stack must be here, down to one without parent.
    pub(super) fn check(&self, stack: &Stack) -> Result<()> {
        let missing = |chain: &Digest| Error::not_found(format!("layer {chain} is not unpacked"));
        let mut want = stack.top.as_ref();
        for chain in stack.layers.iter() {
            let layer = self.layers.get(chain).filter(|_| want == Some(chain));
            want = layer.ok_or_else(|| missing(chain))?.parent.as_ref();
        }
        want.map_or(Ok(()), |chain| Err(missing(chain)))
    }
}

/// The layer that the rw layer in `dir` was made on; `None` when its making was interrupted.
pub(super) fn read_parent(dir: &Path) -> Option<Option<Digest>> {
    let target = std::fs::read_link(dir.join(PARENT_LINK)).ok()?;
    let name = target.file_name()?.to_str()?;
    if name == NO_PARENT { Some(None) } else { format!("sha256:{name}").parse().ok().map(Some) }
}
