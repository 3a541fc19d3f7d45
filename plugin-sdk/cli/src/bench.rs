//! `wharf-plugin bench`

use crate::{project::Project, session::Session, step, test::runtime};
use anyhow::{Result, bail};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use wharf_spi::authz::AuthzRequest;

/// Calls before the measurement: instances are warm then, as in an engine.
const WARM_UP: usize = 100;

/// Asks the requests of the files in turn. Their other steps are done before.
pub fn run(project: &Project, set: &[String], mut files: Vec<PathBuf>, time: Duration) -> Result<()> {
    if files.is_empty() {
        files = project.cases()?.into_iter().take(1).collect();
    }
    runtime()?.block_on(async {
        let mut session = Session::new(project, set).await?;
        let mut requests = Vec::new();
        for line in step::read_all(&files)? {
            match line.step.request {
                Some(request) => requests.push(AuthzRequest::from(request)),
                None => drop(session.step(line.step).await?),
            }
        }
        if requests.is_empty() {
            bail!("there are no requests in {files:?}");
        }
        let authorizer = session.authorizer().await?;
        let mut times = Vec::new();
        let mut errors = 0_usize;
        let begin = Instant::now();
        for (number, request) in requests.iter().cycle().enumerate() {
            let asked = Instant::now();
            errors += usize::from(authorizer.judge(request).await.is_err());
            if number >= WARM_UP {
                times.push(asked.elapsed());
            }
            if begin.elapsed() >= time && times.len() >= WARM_UP {
                break;
            }
        }
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied().unwrap_or_default();
        println!("{}: {} decisions, {} errors", project.name, times.len(), errors);
        println!("p50 {:?}  p90 {:?}  p99 {:?}  max {:?}", at(50), at(90), at(99), at(100));
        Ok(())
    })
}
