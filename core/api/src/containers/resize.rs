//! `POST /containers/{id}/resize`, and reading the size of a terminal.

use crate::{
    Cx, authz,
    contract::{Param, integer},
    endpoint::{Endpoint, Row},
    query::Query,
    reply::Empty,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::{Error, Result};

/// Sets the size of a container's terminal.
pub struct Resize;

#[derive(Serialize)]
pub struct Input {
    pub id: String,
    pub height: u16,
    pub width: u16,
}

/// The size in character cells.
pub const SIZE: &[Param] = &[integer("h").required(), integer("w").required()];

impl Input {
    /// Reads the path and `h` and `w`; both are required.
    pub fn decode(rq: &Request) -> Result<Self> {
        Ok(Self { id: rq.path("id")?, height: cells(rq.query(), "h", "height")?, width: cells(rq.query(), "w", "width")? })
    }
}

/// A number of character cells. A terminal's size has 16 bits (`struct winsize`).
fn cells(query: &Query, name: &str, what: &str) -> Result<u16> {
    let text = query.text(name).unwrap_or_default();
    text.parse().map_err(|_| Error::invalid(format!("invalid resize {what} {text:?}: not a number from 0 to {}", u16::MAX)))
}

impl Endpoint for Resize {
    const ROW: Row = Row::post("/containers/{id}/resize", "container.resize").query(SIZE).refusals(&[409]);
    type Input = Input;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Input::decode(&rq)
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.containers.resize(&input.id, input.height, input.width).await.map(|()| Empty)
    }
}
