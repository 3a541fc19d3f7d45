//! `GET /images/{name}/history`.

use super::platform;
use crate::{
    Cx, authz,
    contract::json,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::image::{HistoryItem, OciPlatform};
use wharf_images::Step;
use wharf_spi::authz::Object;
use wharf_types::{Result, Timestamp};

/// Lists the steps of an image, newest first.
pub struct History;

#[derive(Serialize)]
pub struct Input {
    name: String,
    platform: Option<OciPlatform>,
}

impl Endpoint for History {
    const ROW: Row = Row::get("/images/{name}/history", "image.history").query(&[json::<OciPlatform>("platform").since(48)]);
    type Input = Input;
    type Output = Json<Vec<HistoryItem>>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { name: rq.path("name")?, platform: platform::one(&rq)? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let (_, steps) = cx.images.history(&input.name, &platform::meant(&input.platform)?)?;
        Ok(Json(steps.into_iter().map(shape).collect()))
    }
}

fn shape(step: Step) -> HistoryItem {
    let tags: Vec<_> = step.tags.iter().map(ToString::to_string).collect();
    HistoryItem {
        comment: step.comment,
        created: step.created.map_or(0, Timestamp::seconds),
        created_by: step.created_by,
        id: step.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        size: step.size.cast_signed(),
        tags: (!tags.is_empty()).then_some(tags),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_elsewhere_are_missing() {
        let step =
            Step { id: None, created: None, created_by: "ADD".into(), tags: vec!["a:1".parse().unwrap()], size: 7, comment: String::new() };
        assert_eq!(
            serde_json::to_string(&shape(step)).unwrap(),
            r#"{"Comment":"","Created":0,"CreatedBy":"ADD","Id":"<missing>","Size":7,"Tags":["a:1"]}"#
        );
    }
}
