//! `wharf-plugin test`

use crate::{
    answer::{Answer, Expect},
    project::Project,
    session::Session,
    step,
};
use anyhow::Result;
use std::{path::PathBuf, process::ExitCode};

/// Runs each file in a session of its own, and prints what is not as it should be.
pub fn run(project: &Project, set: &[String], mut files: Vec<PathBuf>) -> Result<ExitCode> {
    if files.is_empty() {
        files = project.cases()?;
    }
    let (mut passed, mut failed) = (0, 0);
    runtime()?.block_on(async {
        for file in &files {
            let mut session = Session::new(project, set).await?;
            let before = failed;
            for line in step::read(file)? {
                let step::Step { what, expect, .. } = line.step;
                let answer = session.step(what).await;
                let holds = expect.as_ref().map_or(!matches!(answer, Answer::Error(_)), |e| e.holds(&answer));
                if holds {
                    passed += usize::from(expect.is_some());
                } else {
                    failed += 1;
                    println!("FAILED {}\n  expected {}\n  answered {answer}", line.place, said(expect.as_ref()));
                }
            }
            if failed > before {
                session.log().iter().for_each(|line| println!("  log: {line}"));
            }
        }
        anyhow::Ok(())
    })?;
    println!("{}: {passed} passed, {failed} failed", project.name);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn said(expect: Option<&Expect>) -> String {
    expect.and_then(|e| serde_json::to_string(e).ok()).unwrap_or_else(|| "that it works".to_owned())
}

/// Everything in one thread: plugins are asked one thing at a time.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
