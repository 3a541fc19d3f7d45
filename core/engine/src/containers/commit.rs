//! `docker commit`: an image of a container's changes.

use super::{ContainerView, Containers, actor::attributes, create::merge, shared::Shared, shared::blocking};
use crate::{images::new_name, metrics::Timer};
use std::{path::PathBuf, sync::Arc, time::Instant};
use wharf_api_types::container::{Config, StrSlice};
use wharf_images::{CommitOptions, RunConfig, changes};
use wharf_types::{ContainerId, Digest, Error, Reference, Result, Timestamp, error::Context as _};

/// What to commit, and as what.
#[derive(Clone, Debug, Default)]
pub struct CommitRequest {
    /// Repository of the new image; none leaves it untagged.
    pub repo: Option<String>,
    /// Its tag; `latest` when empty.
    pub tag: String,
    /// Why.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// What differs from the container's configuration.
    pub config: Option<Config>,
}

/// Marks a container that is frozen for a commit only: the next daemon lets it go on.
fn mark(shared: &Shared, id: &ContainerId) -> PathBuf {
    shared.dir(id).join("committing")
}

impl Containers {
    /// Makes an image and returns its id.
    ///
    /// # Errors
    /// 404 for the container or its image, 400 for a bad name or change, 409 while the container is being removed, or when another image
    /// has the name than the one that was judged.
    pub async fn commit(&self, name: &str, rq: CommitRequest) -> Result<Digest> {
        let (view, began) = (self.get(name)?, Instant::now());
        if view.state.removing {
            return Err(Error::conflict(format!("You cannot commit container {} which is being removed", view.id())));
        }
        let reference = rq.repo.as_deref().map(|repo| Reference::of(repo, &rq.tag)).transpose()?;
        let config = run_config(&view.spec.config, rq.config, &rq.changes)?;
        let options = CommitOptions {
            parent: view.spec.image.clone(),
            name: reference.clone().map(new_name),
            config,
            author: rq.author,
            comment: rq.comment.clone(),
            created_by: words(view.spec.config.cmd.as_ref()),
            created: Timestamp::now(),
        };
        let frozen = rq.pause && view.state.running && !view.state.paused && self.freeze(&view).await?;
        let (images, shared, id) = (self.shared.images.clone(), self.shared.clone(), view.id().clone());
        let committed = blocking(move || images.commit(options, |out| shared.layers.pack_changes(&id, out))).await;
        if frozen {
            self.thaw(view.id()).await;
        }
        let image = committed?;
        let mut event = attributes(&view.spec);
        event.insert("comment".to_owned(), rq.comment);
        event.insert("imageID".to_owned(), image.id.to_string());
        event.insert("imageRef".to_owned(), reference.map(|r| r.to_string()).unwrap_or_default());
        self.shared.events.publish("container", "commit", view.id().as_str(), event);
        self.shared.metrics.observe(Timer::ContainerCommit, began);
        Ok(image.id.clone())
    }

    /// Whether it is frozen now; one that just ended need not be.
    async fn freeze(&self, view: &ContainerView) -> Result<bool> {
        let mark = mark(&self.shared, view.id());
        blocking(move || std::fs::write(&mark, "").context(mark.display())).await?;
        match self.pause(view.id().as_str()).await {
            Ok(()) => Ok(true),
            Err(e) => {
                tracing::debug!(container = ?view.id(), error = %e, "committed without a pause");
                self.unmark(view.id()).await;
                Ok(false)
            }
        }
    }

    async fn thaw(&self, id: &ContainerId) {
        if let Err(e) = self.unpause(id.as_str()).await {
            tracing::warn!(container = ?id, error = %e, "not unpaused after a commit");
        }
        self.unmark(id).await;
    }

    async fn unmark(&self, id: &ContainerId) {
        let mark = mark(&self.shared, id);
        if let Err(e) = blocking(move || Ok(std::fs::remove_file(mark)?)).await {
            tracing::debug!(container = ?id, error = %e, "no mark of a commit");
        }
    }

    /// Lets those go on that a commit had frozen when the daemon died.
    pub(super) async fn thaw_interrupted(&self) {
        let (shared, all): (Arc<Shared>, _) = (self.shared.clone(), self.list());
        let marked = blocking(move || Ok(all.into_iter().filter(|v| mark(&shared, v.id()).exists()).collect::<Vec<_>>())).await;
        for view in marked.unwrap_or_default() {
            if view.state.paused {
                self.thaw(view.id()).await;
            } else {
                self.unmark(view.id()).await;
            }
        }
    }
}

/// The configuration of the new image: what the request says, with the changes, over what the container has.
fn run_config(container: &Config, request: Option<Config>, instructions: &[String]) -> Result<RunConfig> {
    let mut run: RunConfig = serde_json::from_value(serde_json::to_value(request.as_ref().unwrap_or(container))?)?;
    changes::apply(&mut run, instructions)?;
    let mut config: Config = serde_json::from_value(serde_json::to_value(run)?)?;
    merge::merge(&mut config, container.clone());
    Ok(serde_json::from_value(serde_json::to_value(config)?)?)
}

fn words(command: Option<&StrSlice>) -> String {
    command.map(|c| c.0.join(" ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_wins_over_the_container() {
        let words = |w: &[&str]| Some(StrSlice(w.iter().map(ToString::to_string).collect()));
        let container = Config {
            cmd: words(&["sh"]),
            env: Some(vec!["PATH=/bin".into(), "A=0".into()]),
            user: "nobody".into(),
            hostname: "box".into(),
            ..Config::default()
        };
        let same = run_config(&container, None, &[]).unwrap();
        assert_eq!((same.cmd.as_deref(), same.user.as_str(), same.env.len()), (Some(&["sh".to_owned()][..]), "nobody", 2));
        let request = Config { working_dir: "/d".into(), ..Config::default() };
        let changed = run_config(&container, Some(request), &["ENV A=1".into(), "ENTRYPOINT [\"x\"]".into()]).unwrap();
        assert_eq!((changed.env, changed.working_dir.as_str()), (vec!["A=1".to_owned(), "PATH=/bin".to_owned()], "/d"));
        assert_eq!((changed.entrypoint, changed.user.as_str()), (Some(vec!["x".to_owned()]), "nobody"));
        assert!(run_config(&container, None, &["RUN x".into()]).is_err());
    }
}
