//! `POST /images/load`.

use super::platform;
use crate::{
    Cx,
    authz::{self, Question},
    contract::{Answer, flag, json_list},
    endpoint::{Endpoint, Row},
    reply::{JSON, Response, streaming},
    request::Request,
    stream::progress,
};
use futures_util::{StreamExt as _, future::ready};
use serde::Serialize;
use tokio::{io::AsyncRead, runtime::Handle};
use tokio_stream::wrappers::ReceiverStream;
use wharf_api_types::image::{OciPlatform, Progress, ProgressDetail};
use wharf_engine::images::ImageProgress;
use wharf_images::Naming;
use wharf_types::Result;

/// Loads the images of an archive.
pub struct Load;

#[derive(Serialize)]
pub struct Input {
    quiet: bool,
    platforms: Vec<OciPlatform>,
    /// For the names in the archive; none when there is nobody to ask.
    #[serde(skip)]
    question: Option<Question>,
    #[serde(skip)]
    archive: Box<dyn AsyncRead + Send + Unpin>,
}

impl Endpoint for Load {
    const ROW: Row = Row::post("/images/load", "image.load")
        .query(&[flag("quiet"), json_list::<OciPlatform>("platform").since(48)])
        .archive()
        .answers(&[Answer::lines::<Progress>(&[JSON])]);
    type Input = Input;
    type Output = Response;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let platforms = platform::archived(&rq)?;
        platform::meant(&platforms)?;
        let question = authz::question(cx, Self::ROW.action, &rq.received(), rq.headers());
        Ok(Input { quiet: rq.query().flag_or_true("quiet"), platforms, question, archive: Box::new(rq.into_reader()) })
    }
    async fn execute(cx: &Cx, mut input: Input) -> Result<Response> {
        let question = input.question.take().map(|question| question.of::<Cx, Self>(cx, &input)).transpose()?;
        let Input { quiet, platforms, archive, .. } = input;
        let steps = ReceiverStream::new(cx.images.load(archive, platform::meant(&platforms)?, judged(question)));
        let shown = steps.filter(move |s| ready(!(quiet && matches!(s, Ok(ImageProgress::Layer { .. })))));
        Ok(streaming(JSON, progress(shown.map(|step| step.map(message)))))
    }
}

/// Has names judged as those of a tag are: by who has them.
fn judged(question: Option<Question>) -> impl FnMut(&[Naming]) -> Result<()> + Send {
    let (runtime, mut question) = (Handle::current(), question);
    move |names| match &mut question {
        Some(question) if !names.is_empty() => {
            let objects = names.iter().map(|name| authz::of_name(&name.reference, name.holder.as_deref()));
            runtime.block_on(question.ask_about(objects.collect()))
        }
        _ => Ok(()),
    }
}

fn message(step: ImageProgress) -> Progress {
    let stream = |text: String| Progress { stream: text, ..Progress::default() };
    match step {
        ImageProgress::Layer { diff_id, current, total } => Progress {
            status: "Loading layer".to_owned(),
            progress_detail: Some(ProgressDetail { current, total }),
            id: diff_id.short().to_owned(),
            ..Progress::default()
        },
        ImageProgress::Renamed { reference, old } => {
            stream(format!("The image {reference} already exists, renaming the old one with ID {old} to empty string\n"))
        }
        ImageProgress::Loaded { reference: Some(reference), .. } => stream(format!("Loaded image: {reference}\n")),
        ImageProgress::Loaded { reference: None, id } => stream(format!("Loaded image ID: {id}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_types::Digest;

    #[test]
    fn messages_that_clients_parse() {
        let id = Digest::of(b"");
        let text = |step| serde_json::to_string(&message(step)).unwrap();
        assert_eq!(
            text(ImageProgress::Layer { diff_id: id.clone(), current: 1, total: 2 }),
            r#"{"status":"Loading layer","progressDetail":{"current":1,"total":2},"id":"e3b0c44298fc"}"#
        );
        assert_eq!(
            text(ImageProgress::Loaded { reference: Some("a:b".to_owned()), id: id.clone() }),
            r#"{"stream":"Loaded image: a:b\n"}"#
        );
        assert_eq!(text(ImageProgress::Loaded { reference: None, id: id.clone() }), format!(r#"{{"stream":"Loaded image ID: {id}\n"}}"#));
    }
}
