//! `wharf-plugin host`: the plugin host for test libraries of any language.

use crate::{answer::Answer, project::Project, session::Session, step, test::runtime};
use anyhow::Result;
use std::io::{BufRead, Write, stdin, stdout};

/// Answers each line with one, until there are no more.
pub fn run(project: &Project, set: &[String]) -> Result<()> {
    runtime()?.block_on(async {
        let mut session = Session::new(project, set).await?;
        for line in stdin().lock().lines() {
            let answer = match step::parse(&line?) {
                Ok(step) => session.step(step.what).await,
                Err(e) => Answer::Wrong(format!("{e:#}")),
            };
            let mut out = stdout().lock();
            serde_json::to_writer(&mut out, &answer)?;
            writeln!(out)?;
            out.flush()?;
        }
        Ok(())
    })
}
