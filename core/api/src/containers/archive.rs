//! `HEAD`, `GET` and `PUT /containers/{id}/archive` (`docker cp`), and `POST /containers/{id}/copy`, which was there before.

use crate::{
    Cx,
    accept::packing,
    authz,
    contract::{Answer, Param, flag, text},
    endpoint::{Endpoint, Row},
    reply::{Empty, IntoReply as _, Response, TAR, streaming},
    request::Request,
    stream::bytes,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use tokio::io::AsyncRead;
use wharf_api_types::inspect::CopyRequest;
use wharf_engine::containers::{ExtractOptions, Packing, PathStat};
use wharf_spi::authz::Object;
use wharf_types::{Error, Result, Timestamp};

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

const PATH: Param = text("path").required();

#[derive(Serialize)]
pub struct Input {
    id: String,
    path: String,
}

impl Input {
    fn of(rq: &Request) -> Result<Self> {
        let path = rq.query().text("path").ok_or_else(|| Error::invalid("bad parameter: path cannot be empty"))?;
        Ok(Self { id: rq.path("id")?, path: path.to_owned() })
    }
}

/// Says what lies at a path.
pub struct Stat;

impl Endpoint for Stat {
    const ROW: Row =
        Row::head("/containers/{id}/archive", "container.archive_stat").since(20).query(&[PATH]).answers(&[Answer::empty(200)]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Input::of(&rq)
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let stat = cx.containers.path_stat(&input.id, &input.path).await?;
        with_stat(Empty::<200>.into_reply(), &stat)
    }
}

/// Sends what lies at a path; packed, where the client can unpack it.
pub struct Get;

#[derive(Serialize)]
pub struct GetInput {
    #[serde(flatten)]
    place: Input,
    #[serde(skip)]
    packing: Packing,
}

impl Endpoint for Get {
    const ROW: Row =
        Row::get("/containers/{id}/archive", "container.archive_get").since(20).query(&[PATH]).answers(&[Answer::bytes(&[TAR])]);
    type Input = GetInput;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<GetInput> {
        Ok(GetInput { place: Input::of(&rq)?, packing: packing(rq.headers()) })
    }
    fn targets(input: &GetInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.place.id)
    }
    async fn execute(cx: &Cx, input: GetInput) -> Result<Response> {
        let GetInput { place, packing } = input;
        let (stat, archive) = cx.containers.archive(&place.id, &place.path, packing).await?;
        let mut response = streaming(TAR, bytes(archive));
        if let Some(coding) = packing.coding() {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        with_stat(response, &stat)
    }
}

/// Unpacks an archive into a directory.
pub struct Put;

#[derive(Serialize)]
pub struct PutInput {
    #[serde(flatten)]
    place: Input,
    keep_kinds: bool,
    container_owner: bool,
    #[serde(skip)]
    archive: Box<dyn AsyncRead + Send + Unpin>,
}

impl Endpoint for Put {
    const ROW: Row = Row::put("/containers/{id}/archive", "container.archive_put")
        .since(20)
        .query(&[PATH, flag("noOverwriteDirNonDir"), flag("copyUIDGID")])
        .archive();
    type Input = PutInput;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<PutInput> {
        let (place, query) = (Input::of(&rq)?, rq.query());
        let (keep_kinds, container_owner) = (query.flag("noOverwriteDirNonDir"), query.flag("copyUIDGID"));
        Ok(PutInput { place, keep_kinds, container_owner, archive: Box::new(rq.into_reader()) })
    }
    fn targets(input: &PutInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.place.id)
    }
    async fn execute(cx: &Cx, input: PutInput) -> Result<Self::Output> {
        let PutInput { place, keep_kinds, container_owner, archive } = input;
        cx.containers.extract(&place.id, &place.path, archive, ExtractOptions { keep_kinds, container_owner }).await?;
        Ok(Empty)
    }
}

/// Sends what lies behind a path, in the form of before 1.20.
pub struct Copy;

#[derive(Serialize)]
pub struct CopyInput {
    id: String,
    body: CopyRequest,
}

impl Endpoint for Copy {
    const ROW: Row = Row::post("/containers/{id}/copy", "container.copy").until(24).json::<CopyRequest>().answers(&[Answer::bytes(&[TAR])]);
    type Input = CopyInput;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<CopyInput> {
        let id = rq.path("id")?;
        let body: CopyRequest = rq.json().await?;
        if body.resource.is_empty() {
            return Err(Error::invalid("Path cannot be empty"));
        }
        Ok(CopyInput { id, body })
    }
    fn targets(input: &CopyInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: CopyInput) -> Result<Response> {
        Ok(streaming(TAR, bytes(cx.containers.copy(&input.id, &input.body.resource).await?)))
    }
}

/// The header's JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    name: &'a str,
    size: u64,
    mode: u32,
    mtime: String,
    link_target: &'a str,
}

fn with_stat(mut response: Response, stat: &PathStat) -> Result<Response> {
    let (seconds, nanos) = stat.mtime;
    let mtime = Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos.into())).to_string();
    let header = Header { name: &stat.name, size: stat.size, mode: go_mode(stat.mode), mtime, link_target: &stat.link_target };
    let text = STANDARD.encode(serde_json::to_vec(&header)?);
    let value = HeaderValue::from_str(&text).map_err(|e| Error::system(e.to_string()))?;
    response.headers_mut().insert(PATH_STAT, value);
    Ok(response)
}

/// `st_mode` as Go's `os.FileMode`, which has bits of its own for everything but the permissions.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        0o020_000 => 1 << 26 | 1 << 21,
        _ => 0,
    };
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = special.into_iter().filter(|(bit, _)| mode & bit != 0).fold(0, |all, (_, bit)| all | 1 << bit);
    mode & 0o777 | kind | special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        for (mode, go) in [
            (0o040_755, 2_147_484_141u32),
            (0o120_777, 134_218_239),
            (0o100_644, 420),
            (0o104_755, 1 << 23 | 0o755),
            (0o041_777, 1 << 31 | 1 << 20 | 0o777),
            (0o020_620, 1 << 26 | 1 << 21 | 0o620),
        ] {
            assert_eq!(go_mode(mode), go, "{mode:o}");
        }
    }

    #[test]
    fn the_header_is_standard_base64_of_json() {
        let stat = PathStat { name: "l".into(), size: 1, mode: 0o120_777, mtime: (1, 500_000_000), link_target: "/d/f".into() };
        let response = with_stat(Response::default(), &stat).unwrap();
        let text = STANDARD.decode(&response.headers()[PATH_STAT]).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"name":"l","size":1,"mode":134218239,"mtime":"1970-01-01T00:00:01.5Z","linkTarget":"/d/f"}"#
        );
    }
}
