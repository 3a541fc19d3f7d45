//! `POST /commit`.

use crate::{
    Cx, authz,
    contract::{flag, list, text},
    endpoint::{Endpoint, Row},
    reply::Created,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::{container::Config, inspect::IdResponse};
use wharf_engine::containers::CommitRequest;
use wharf_spi::authz::Object;
use wharf_types::{Error, Reference, Result};

/// Makes an image of a container.
pub struct Commit;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    container: String,
    repo: Option<String>,
    tag: String,
    comment: String,
    author: String,
    pause: bool,
    changes: Vec<String>,
    #[serde(rename = "body")]
    config: Option<Config>,
}

impl Endpoint for Commit {
    const ROW: Row = Row::post("/commit", "container.commit")
        .query(&[text("container").required(), text("repo"), text("tag"), text("comment"), text("author"), flag("pause"), list("changes")])
        .json::<Option<Config>>()
        .refusals(&[404, 409]);
    type Input = Input;
    type Output = Created<IdResponse>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let query = rq.query();
        let text = |name| query.text(name).unwrap_or_default().to_owned();
        let container = query.text("container").ok_or_else(|| Error::invalid("invalid name or ID supplied: \"\""))?.to_owned();
        Ok(Input {
            container,
            repo: query.text("repo").map(str::to_owned),
            tag: text("tag"),
            comment: text("comment"),
            author: text("author"),
            pause: query.flag("pause") || query.text("pause").is_none(),
            changes: query.all("changes"),
            config: rq.json().await?,
        })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        let name = input.repo.as_deref().and_then(|repo| Reference::of(repo, &input.tag).ok());
        authz::container(cx, &input.container).into_iter().chain(name.map(|name| authz::new_image(cx, &name))).collect()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { container, repo, tag, comment, author, pause, changes, config } = input;
        let rq = CommitRequest { repo, tag, comment, author, pause, changes, config };
        let id = cx.containers.commit(&container, rq).await?;
        Ok(Created(IdResponse { id: id.to_string() }))
    }
}
