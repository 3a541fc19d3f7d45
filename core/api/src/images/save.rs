//! `GET /images/get` and `GET /images/{name}/get` (`docker save`).

use super::platform;
use crate::{
    Cx,
    authz::{self, Sight},
    contract::{Answer, Param, json_list, list},
    endpoint::{Endpoint, Row},
    reply::{Response, TAR, streaming},
    request::Request,
    stream::bytes,
};
use serde::Serialize;
use wharf_api_types::image::OciPlatform;
use wharf_images::Saved;
use wharf_spi::authz::{Object, ObjectKind};
use wharf_types::Result;

const PLATFORM: Param = json_list::<OciPlatform>("platform").since(48);

/// Sends the named images as one archive.
pub struct Several;
/// Sends one image, or all tags of a name, as an archive.
pub struct One;

#[derive(Serialize)]
pub struct Input {
    names: Vec<String>,
    platforms: Vec<OciPlatform>,
    /// What each of the names means: these are judged, and these are saved.
    #[serde(skip)]
    images: Vec<Result<Vec<Saved>>>,
}

impl Input {
    async fn resolve(cx: &Cx, names: Vec<String>, platforms: Vec<OciPlatform>, sight: Sight) -> Self {
        let mut images = Vec::with_capacity(names.len());
        for name in &names {
            images.push(match cx.images.to_save(name) {
                Ok(all) => Ok(seen(all, &sight).await),
                absent => absent,
            });
        }
        Self { names, platforms, images }
    }

    fn targets(&self) -> Vec<Object> {
        let objects = |(name, images): (&String, &Result<Vec<Saved>>)| match images {
            Ok(all) => all.iter().map(|one| Object { named: name.clone(), ..authz::of_image(&one.image) }).collect(),
            Err(_) => vec![Object::named(ObjectKind::Image, name)],
        };
        self.names.iter().zip(&self.images).flat_map(objects).collect()
    }

    async fn save(self, cx: &Cx) -> Result<Response> {
        let images: Vec<Vec<Saved>> = self.images.into_iter().collect::<Result<_>>()?;
        let archive = cx.images.save(images.into_iter().flatten().collect(), &platform::meant(&self.platforms)?).await?;
        Ok(streaming(TAR, bytes(archive)))
    }
}

/// What the caller sees of the images of a name. One that sees none is told so when the request is judged.
async fn seen(all: Vec<Saved>, sight: &Sight) -> Vec<Saved> {
    let seen = sight.keep(all.clone(), |one| authz::of_image(&one.image)).await;
    if seen.is_empty() { all } else { seen }
}

impl Endpoint for Several {
    const ROW: Row =
        Row::get("/images/get", "image.save").query(&[list("names"), PLATFORM]).answers(&[Answer::bytes(&[TAR])]).refusals(&[404]);
    type Input = Input;
    type Output = Response;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let (names, platforms, sight) = (rq.query().all("names"), platform::archived(&rq)?, cx.sight(&rq));
        Ok(Input::resolve(cx, names, platforms, sight).await)
    }
    fn targets(input: &Input, _: &Cx) -> Vec<Object> {
        input.targets()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        input.save(cx).await
    }
}

impl Endpoint for One {
    const ROW: Row = Row::get("/images/{name}/get", "image.save").query(&[PLATFORM]).answers(&[Answer::bytes(&[TAR])]);
    type Input = Input;
    type Output = Response;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let (names, platforms, sight) = (vec![rq.path("name")?], platform::archived(&rq)?, cx.sight(&rq));
        Ok(Input::resolve(cx, names, platforms, sight).await)
    }
    fn targets(input: &Input, _: &Cx) -> Vec<Object> {
        input.targets()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        input.save(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Hides, image};
    use std::sync::Arc;

    fn saved(tag: &str) -> Saved {
        let image = image(&[tag]);
        Saved { tags: image.tags.clone(), image: Arc::new(image) }
    }

    #[test]
    fn every_image_of_a_name_is_judged() {
        let images = vec![Ok(vec![saved("repo:latest"), saved("repo:other")]), Err(wharf_types::Error::not_found("x"))];
        let input = Input { names: vec!["repo".to_owned(), "x".to_owned()], platforms: Vec::new(), images };
        let targets: Vec<_> = input.targets().into_iter().map(|t| (t.named, t.name, t.id.is_empty())).collect();
        let expected = [("repo", "repo:latest", false), ("repo", "repo:other", false), ("x", "", true)];
        assert_eq!(targets, expected.map(|(named, name, absent)| (named.to_owned(), name.to_owned(), absent)));
    }

    #[tokio::test]
    async fn of_the_images_of_a_name_those_are_saved_that_the_caller_sees() {
        let sight = Hides("secret").sight();
        let names = |all: Vec<Saved>| all.iter().map(|one| one.tags[0].to_string()).collect::<Vec<_>>();
        assert_eq!(names(seen(vec![saved("repo:latest"), saved("repo:secret")], &sight).await), ["repo:latest"]);
        assert_eq!(names(seen(vec![saved("repo:secret")], &sight).await), ["repo:secret"], "the gate hides it");
    }
}
