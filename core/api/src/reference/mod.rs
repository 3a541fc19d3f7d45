//! The generated pages of the reference: the table as a compatibility matrix, and its OpenAPI description. `make docs` writes them.

mod openapi;

use crate::{
    contract::{Kind, Param, RequestBody},
    endpoint::Row,
    error, routes,
    unserved::ROWS,
};
use std::{collections::BTreeMap, fmt::Write as _, path::Path};
use wharf_types::Error;

/// What a row is refused with; none for a served one.
fn refusal(row: &Row) -> Option<Error> {
    ROWS.iter().find(|u| (u.row.verb, u.row.path) == (row.verb, row.path)).map(|u| u.refusal())
}

fn compare(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == generated, "docs/reference/{name} is not current; run `make docs`");
}

#[test]
fn the_matrix_is_current() {
    compare("api.md", &matrix());
}

const HEAD: &str = "\
# The API, row by row

Generated from the route table (`core/api/src/routes.rs` and `unserved.rs`); run `make docs` to write it again. The same table is
an OpenAPI description in `openapi.json`, with the shapes of bodies and answers.

Every path works with and without a version prefix (`/v1.41/info`). *API* says which versions have a row: a newer row answers 400
to an older client, a row that is gone 404. *Action* is what authorization policies see. *Status* is what a request meets here:
the row is served, or it is refused with this answer.

Below each table are the parameters of the query that are read, those in **bold** required, and the body. A parameter that is
not listed has no effect.
";

fn matrix() -> String {
    let mut sections: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in routes() {
        let kind = row.action.0.split('.').next().unwrap();
        match sections.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, rows)) => rows.push(row),
            None => sections.push((kind, vec![row])),
        }
    }
    let mut text = HEAD.to_owned();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for error in routes().iter().filter_map(refusal) {
        *statuses.entry(error::status(error.kind()).as_u16()).or_default() += 1;
    }
    let served = routes().len() - statuses.values().sum::<usize>();
    let refused: String = statuses.iter().map(|(status, n)| format!(", {n} refused with {status}")).collect();
    let _ = writeln!(text, "\n{} rows: {served} served{refused}.", routes().len());
    for (kind, rows) in sections {
        let _ = writeln!(text, "\n## {kind}\n\n| Method | Path | API | Action | Status |\n|---|---|---|---|---|");
        for row in &rows {
            let status = refusal(row).map_or("served".to_owned(), |e| format!("{}: {}", error::status(e.kind()).as_u16(), e.message()));
            let api = versions(row.since, row.until).unwrap_or("all".to_owned());
            let _ = writeln!(text, "| {} | `{}` | {api} | `{}` | {status} |", row.verb, row.path, row.action.0);
        }
        let lines: Vec<_> = rows.iter().filter_map(|row| Some(format!("* `{} {}`: {}\n", row.verb, row.path, inputs(row)?))).collect();
        if !lines.is_empty() {
            let _ = write!(text, "\n{}", lines.concat());
        }
    }
    text
}

fn versions(since: u16, until: Option<u16>) -> Option<String> {
    match (since, until) {
        (0, None) => None,
        (since, None) => Some(format!("1.{since} –")),
        (0, Some(until)) => Some(format!("before 1.{until}")),
        (since, Some(until)) => Some(format!("1.{since} – before 1.{until}")),
    }
}

/// The parameters and the body in a line; none when there are none.
fn inputs(row: &Row) -> Option<String> {
    let mut all: Vec<_> = row.query.iter().map(parameter).collect();
    all.extend(match row.body {
        RequestBody::Nothing => None,
        RequestBody::Json(_) => Some("a JSON body".to_owned()),
        RequestBody::JsonUntil(_, minor) => Some(format!("a JSON body before 1.{minor}")),
        RequestBody::Archive => Some("an archive as body".to_owned()),
    });
    (!all.is_empty()).then(|| all.join(", "))
}

fn parameter(param: &Param) -> String {
    let name = if param.required { format!("**`{}`**", param.name) } else { format!("`{}`", param.name) };
    let values = match param.kind {
        Kind::Filters([]) => Some("any keys".to_owned()),
        Kind::Filters(words) | Kind::Word(words) | Kind::Words(words) => {
            Some(words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    let notes: Vec<_> = versions(param.since, param.until).into_iter().chain(values).collect();
    if notes.is_empty() { name } else { format!("{name} ({})", notes.join(": ")) }
}
