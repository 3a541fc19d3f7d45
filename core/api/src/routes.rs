//! The table: every endpoint that is served, in the order of the reference, and after them the rows that are refused by name.

use crate::{
    Cx,
    containers::{
        archive, attach, attach_ws, changes, commit, create, export, inspect, kill, lifecycle, list, logs, pause, prune, remove, rename,
        resize, stats, top, update, wait,
    },
    endpoint::{Row, Table},
    execs, images, plugins,
    serve::App,
    system, unserved,
};
use std::sync::{Arc, LazyLock};

macro_rules! served {
    ($($endpoint:path,)*) => {
        const SERVED: &[Row] = &[$(Row::of::<Cx, $endpoint>(),)*];

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
    plugins::list::List,
    plugins::privileges::Privileges,
    plugins::inspect::Inspect,
    plugins::create::Create,
    plugins::enable::Enable,
    plugins::disable::Disable,
    plugins::set::Set,
    plugins::upgrade::Upgrade,
    plugins::disable::Remove,
    system::ping::Ping,
    system::ping::Head,
    system::version::Version,
    system::info::Info,
    system::df::Df,
    system::events::Events,
    system::auth::Auth,
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
    use std::collections::HashSet;

    #[test]
    fn rows_are_complete_and_unique() {
        let mut seen = HashSet::new();
        for row in routes() {
            assert!(seen.insert((row.verb, row.path)), "{} {} is there twice", row.verb, row.path);
            let (kind, what) = row.action.0.split_once('.').unwrap_or_default();
            assert!(!kind.is_empty() && !what.is_empty(), "{} {} has no action", row.verb, row.path);
            assert!(row.until.is_none_or(|until| until > row.since));
            let mut names = HashSet::new();
            assert!(row.query.iter().all(|p| names.insert(p.name)), "{} {} declares a parameter twice", row.verb, row.path);
        }
        assert!(seen.len() > 110);
    }

    #[test]
    fn served_rows_say_what_they_answer() {
        for row in SERVED {
            assert!(!row.answers.is_empty(), "{} {} needs `.answers(…)`: its output does not tell", row.verb, row.path);
        }
    }
}
