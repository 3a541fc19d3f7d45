//! `wharf-plugin replay`

use crate::{
    answer::{Answer, Expect},
    project::Project,
    session::Session,
    step::{self, What},
    test::runtime,
};
use anyhow::Result;
use std::{path::PathBuf, process::ExitCode};

/// Prints the decisions that have another effect than the recorded ones, and counts those of another rule.
pub fn run(project: &Project, set: &[String], files: &[PathBuf]) -> Result<ExitCode> {
    let (mut asked, mut other, mut rules) = (0, 0, 0);
    runtime()?.block_on(async {
        let mut session = Session::new(project, set).await?;
        for line in step::read_all(files)? {
            let (request, was) = match (line.step.what, line.step.expect.as_ref().and_then(Expect::decided)) {
                (What::Request(request), Some(was)) => (request, was),
                (other, _) => {
                    if let Answer::Error(e) = session.step(other).await {
                        anyhow::bail!("{}: {e}", line.place);
                    }
                    continue;
                }
            };
            asked += 1;
            let request = (*request).into();
            let now = session.judge(&request).await?;
            if !now.same_effect(&was) {
                other += 1;
                println!("{}: {}\n  was {was}\n  now {now}", line.place, request.action.0);
            } else if now.rule != was.rule {
                rules += 1;
            }
        }
        anyhow::Ok(())
    })?;
    println!("{}: {asked} requests, {other} decided otherwise, {rules} for another reason", project.name);
    Ok(if other == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
