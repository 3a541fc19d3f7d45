//! Findings, and how they are shown: a table for people, JSON for programs.

use serde::Serialize;
use std::fmt;

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All of it.
    Ok,
    /// There, with a lack.
    Degraded,
    /// Not there.
    Missing,
}

/// One row of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was looked for.
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// Whether no container can run without it.
    pub essential: bool,
    /// What was found.
    pub found: String,
    /// What one does not get; empty when all is well.
    pub lost: &'static str,
}

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The rows, in the order of the checks.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether containers can run.
    pub fn usable(&self) -> bool {
        !self.rows.iter().any(|row| row.essential && row.state == State::Missing)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        for row in &self.rows {
            let state = match row.state {
                State::Ok => "ok",
                State::Degraded => "degraded",
                State::Missing if row.essential => "MISSING",
                State::Missing => "missing",
            };
            writeln!(f, "{:<width$}  {state:<8}  {}", row.name, row.found)?;
            if !row.lost.is_empty() {
                writeln!(f, "{:<width$}            without it: {}", "", row.lost)?;
            }
        }
        let verdict = if self.usable() {
            "This host can run containers."
        } else {
            "This host can not run containers: something essential is MISSING."
        };
        writeln!(f, "\n{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, essential: bool) -> Row {
        Row { name: "thing", state, essential, found: "a".into(), lost: if state == State::Ok { "" } else { "b" } }
    }

    #[test]
    fn only_an_essential_lack_makes_a_host_unusable() {
        assert!(Report { rows: vec![row(State::Degraded, true), row(State::Missing, false)] }.usable());
        assert!(!Report { rows: vec![row(State::Ok, true), row(State::Missing, true)] }.usable());
    }

    #[test]
    fn the_table() {
        let report = Report { rows: vec![row(State::Ok, true), row(State::Missing, true)] };
        let expected = "thing  ok        a\nthing  MISSING   a\n                 without it: b\n\nThis host can not run containers: something essential is MISSING.\n";
        assert_eq!(report.to_string(), expected);
    }
}
