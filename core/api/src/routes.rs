//! The table: every endpoint that is served, in the order of the reference, and after them the rows that are refused by name.

use crate::{
    Cx,
    containers::{
        archive, attach, attach_ws, changes, commit, create, export, inspect, kill, lifecycle, list, logs, pause, prune, remove, rename,
        resize, stats, top, update, wait,
    },
    endpoint::{Endpoint, Row, Table},
    execs, images,
    serve::App,
    system, unserved,
};
use std::sync::{Arc, LazyLock};

macro_rules! served {
    ($($endpoint:path,)*) => {
        const SERVED: &[Row] = &[$(<$endpoint as Endpoint<Cx>>::ROW,)*];

        fn serve(table: Table<Cx>) -> Table<Cx> {
            table$(.route::<$endpoint>())*
        }
    };
}

served! {
    list::List,
    create::Create,
    inspect::Inspect,
    top::Top,
    logs::Logs,
    stats::Stats,
    resize::Resize,
    lifecycle::Start,
    lifecycle::Stop,
    lifecycle::Restart,
    kill::Kill,
    pause::Pause,
    pause::Unpause,
    rename::Rename,
    update::Update,
    attach::Attach,
    attach_ws::AttachWs,
    wait::Wait,
    remove::Remove,
    prune::Prune,
    changes::Changes,
    export::Export,
    archive::Stat,
    archive::Get,
    archive::Put,
    archive::Copy,
    commit::Commit,
    execs::create::Create,
    execs::start::Start,
    execs::resize::Resize,
    execs::inspect::Inspect,
    images::list::List,
    images::create::Create,
    images::inspect::Inspect,
    images::tag::Tag,
    images::remove::Remove,
    images::load::Load,
    images::save::Several,
    images::save::One,
    images::history::History,
    images::prune::Prune,
    system::ping::Ping,
    system::ping::Head,
    system::version::Version,
    system::info::Info,
    system::df::Df,
    system::events::Events,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| SERVED.iter().copied().chain(unserved::ROWS.iter().map(|u| u.row)).collect());

/// Every row of the API: what is served, then what is refused by name.
pub fn routes() -> &'static [Row] {
    &ROWS
}

/// The API over an engine.
pub fn app(cx: Cx) -> App {
    let mut table = serve(Table::new(Arc::new(cx)));
    for unserved in unserved::ROWS {
        table = table.refuse(&unserved.row, || unserved.refusal());
    }
    App::new(table, routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, fmt::Write as _};

    #[test]
    fn rows_are_complete_and_unique() {
        let mut seen = HashSet::new();
        for row in routes() {
            assert!(seen.insert((row.verb, row.path)), "{} {} is there twice", row.verb, row.path);
            let (kind, what) = row.action.0.split_once('.').unwrap_or_default();
            assert!(!kind.is_empty() && !what.is_empty(), "{} {} has no action", row.verb, row.path);
            assert!(row.until.is_none_or(|until| until > row.since));
        }
        assert!(seen.len() > 110);
    }

    /// `docs/reference/api.md` is this table; `WHARF_WRITE_DOCS=1` writes it.
    #[test]
    fn the_reference_is_current() {
        let mut text = String::from(
            "# The API, row by row\n\n\
             Generated from the route table (`core/api/src/routes.rs` and `unserved.rs`); run `make docs` to \
             write it again.\nEvery path works with and without a version prefix (`/v1.41/info`). *Action* is what authorization policies \
             see.\n\n| Method | Path | API | Action | Status |\n|---|---|---|---|---|\n",
        );
        let served = SERVED.iter().map(|row| (row, "served".to_owned()));
        let refused = unserved::ROWS.iter().map(|u| (&u.row, u.refusal()));
        let refused = refused.map(|(row, e)| (row, format!("{}: {}", crate::error::status(e.kind()).as_u16(), e.message())));
        for (row, status) in served.chain(refused) {
            let api = match (row.since, row.until) {
                (0, None) => "all".to_owned(),
                (since, None) => format!("1.{since} –"),
                (0, Some(until)) => format!("before 1.{until}"),
                (since, Some(until)) => format!("1.{since} – before 1.{until}"),
            };
            let _ = writeln!(text, "| {} | `{}` | {api} | `{}` | {status} |", row.verb, row.path, row.action.0);
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api.md");
        if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap_or_default() == text, "docs/reference/api.md is out of date: set WHARF_WRITE_DOCS=1");
    }
}
