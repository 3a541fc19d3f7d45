//! `GET /images/{name}/history`.

use super::platform;
use crate::{
    Cx,
    authz::{self, Sight},
    contract::json,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::sync::Arc;
use wharf_api_types::image::{HistoryItem, OciPlatform};
use wharf_images::{Image, Step};
use wharf_spi::authz::Object;
use wharf_types::{Result, Timestamp};

/// Lists the steps of an image, newest first.
pub struct History;

#[derive(Serialize)]
pub struct Input {
    name: String,
    platform: Option<OciPlatform>,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for History {
    const ROW: Row = Row::get("/images/{name}/history", "image.history").query(&[json::<OciPlatform>("platform").since(48)]);
    type Input = Input;
    type Output = Json<Vec<HistoryItem>>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { name: rq.path("name")?, platform: platform::one(&rq)?, sight: cx.sight(&rq) })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let (_, mut steps) = cx.images.history(&input.name, &platform::meant(&input.platform)?)?;
        let made = steps.iter().filter_map(|step| cx.images.get(step.id.as_ref()?.as_str()).ok()).collect();
        let seen = input.sight.keep(made, |image: &Arc<Image>| authz::of_image(image)).await;
        forget_unseen(&mut steps, &seen);
        Ok(Json(steps.into_iter().map(shape).collect()))
    }
}

/// Makes the steps of images that the caller does not see steps of elsewhere.
fn forget_unseen(steps: &mut [Step], seen: &[Arc<Image>]) {
    for step in steps {
        if step.id.as_ref().is_some_and(|id| !seen.iter().any(|image| image.id == *id)) {
            (step.id, step.tags) = (None, Vec::new());
        }
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
    use crate::testing::image;
    use wharf_types::Digest;

    fn step(id: Option<Digest>) -> Step {
        Step { id, created: None, created_by: "ADD".into(), tags: vec!["a:1".parse().unwrap()], size: 7, comment: String::new() }
    }

    #[test]
    fn steps_of_elsewhere_are_missing() {
        assert_eq!(
            serde_json::to_string(&shape(step(None))).unwrap(),
            r#"{"Comment":"","Created":0,"CreatedBy":"ADD","Id":"<missing>","Size":7,"Tags":["a:1"]}"#
        );
    }

    #[test]
    fn an_image_that_is_not_seen_is_of_elsewhere() {
        let seen = Arc::new(image(&["a:1"]));
        let mut steps = [step(Some(seen.id.clone())), step(Some(Digest::of(b"hidden")))];
        forget_unseen(&mut steps, std::slice::from_ref(&seen));
        assert_eq!(steps, [step(Some(seen.id.clone())), Step { tags: Vec::new(), ..step(None) }]);
    }
}
