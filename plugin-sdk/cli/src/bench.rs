//! `wharf-plugin bench`
//!
//! Without files each kind of the plugin is measured with a load of its own, and authorization with the requests of the first case
//! file, which also says what has to be there: settings, files, secrets. With files it is the calls in them, in turn.

mod load;

use crate::{
    answer::Answer,
    project::Project,
    session::Session,
    step::{self, Step, What},
    test::runtime,
};
use anyhow::{Context, Result, bail};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use wharf_engine::plugins::privileges::word;
use wharf_plugin_host::wasm::{Kind, Plugin};
use wharf_spi::authz::AuthzRequest;

/// Calls before the measurement: instances are warm then, as in an engine.
const WARM_UP: usize = 100;

/// Measures for so long, each kind of the plugin.
pub fn run(project: &Project, set: &[String], files: &[PathBuf], time: Duration) -> Result<()> {
    runtime()?.block_on(async {
        let mut session = Session::new(project, set).await?;
        if !files.is_empty() {
            let calls = calls(&mut session, files).await?;
            return asked(&mut session, &calls, time).await?.print(&project.name);
        }
        let cases = project.cases().unwrap_or_default();
        let calls = calls(&mut session, cases.get(..1).unwrap_or_default()).await?;
        for kind in session.kinds.clone() {
            let measured = match kind {
                Kind::Authz => asked(&mut session, &calls, time).await,
                Kind::Logging => load::batches(&*session.face(kind, Plugin::log_driver).await?, time).await,
                Kind::LogTransform => load::transformations(&*session.face(kind, Plugin::log_transform).await?, time).await,
                Kind::Volume => load::mounts(&*session.face(kind, Plugin::volume_driver).await?, time).await,
                Kind::Metrics => load::snapshots(&*session.face(kind, Plugin::metrics_sink).await?, time).await,
                Kind::Ipam => load::leases(&*session.face(kind, Plugin::ipam_driver).await?, time).await,
            };
            let unfit = || format!("the plugin does not take the usual load of the kind {}; name a case file", word(kind));
            measured.with_context(unfit)?.print(&project.name)?;
        }
        Ok(())
    })
}

enum Call {
    Judge(Box<AuthzRequest>),
    Other(Box<What>),
}

/// The calls of these files. What asks nothing of the plugin is done, and what is to fail is left out.
async fn calls(session: &mut Session, files: &[PathBuf]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for line in step::read_all(files)? {
        let Step { what, expect, .. } = line.step;
        match what {
            What::Request(request) => calls.push(Call::Judge(Box::new((*request).into()))),
            _ if expect.is_some_and(|expect| expect.is_failure()) => {}
            call if call.asks() => calls.push(Call::Other(Box::new(call))),
            other => {
                if let Answer::Error(e) = session.step(other).await {
                    bail!("{}: {e}", line.place);
                }
            }
        }
    }
    Ok(calls)
}

/// These calls, in turn.
async fn asked(session: &mut Session, calls: &[Call], time: Duration) -> Result<Measured> {
    if calls.is_empty() {
        bail!("there are no calls in the case files");
    }
    let decides = |call: &Call| match call {
        Call::Judge(_) => true,
        Call::Other(other) => matches!(**other, What::Filter(_)),
    };
    let unit = if calls.iter().all(decides) { "decisions" } else { "calls" };
    let mut next = calls.iter().cycle();
    Ok(measure(unit, 0, time, async |_| match next.next() {
        Some(Call::Judge(request)) => match session.judge(request).await.map_err(|e| e.to_string())? {
            error if error.verdict == "error" => Err(error.reason),
            _ => Ok(()),
        },
        Some(Call::Other(call)) => match session.step((**call).clone()).await {
            Answer::Error(e) => Err(e),
            _ => Ok(()),
        },
        None => Ok(()),
    })
    .await)
}

/// What was measured.
struct Measured {
    unit: &'static str,
    /// Entries of a log in each.
    entries: usize,
    times: Vec<Duration>,
    errors: usize,
    first: Option<String>,
}

/// Calls again and again, with the number of the call.
async fn measure(unit: &'static str, entries: usize, time: Duration, mut call: impl AsyncFnMut(u64) -> Result<(), String>) -> Measured {
    let mut measured = Measured { unit, entries, times: Vec::new(), errors: 0, first: None };
    let begin = Instant::now();
    for number in 0_usize.. {
        let asked = Instant::now();
        let outcome = call(number as u64).await;
        if number < WARM_UP {
            continue;
        }
        measured.times.push(asked.elapsed());
        if let Err(e) = outcome {
            measured.errors += 1;
            measured.first.get_or_insert(e);
        }
        if begin.elapsed() >= time && measured.times.len() >= WARM_UP {
            break;
        }
    }
    measured
}

impl Measured {
    /// Fails when every call did.
    fn print(mut self, name: &str) -> Result<()> {
        let times = &mut self.times;
        let together: Duration = times.iter().sum();
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied().unwrap_or_default();
        print!("{name}: {} {}, {} errors", times.len(), self.unit, self.errors);
        if self.entries > 0 {
            print!(", {:.0} entries/s", (times.len() * self.entries) as f64 / together.as_secs_f64());
        }
        println!("\np50 {:?}  p90 {:?}  p99 {:?}  max {:?}", at(50), at(90), at(99), at(100));
        if let Some(first) = self.first {
            println!("the first error: {first}");
        }
        if self.errors == self.times.len() {
            bail!("every call failed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_fails_is_not_measured() {
        let measured = |fail: fn(u64) -> bool| {
            let call = async |number| if fail(number) { Err("no".to_owned()) } else { Ok(()) };
            let measured = runtime().unwrap().block_on(measure("calls", 0, Duration::ZERO, call));
            (measured.errors, measured.print("p").is_ok())
        };
        assert_eq!(measured(|_| true), (WARM_UP, false));
        assert_eq!(measured(|number| number % 2 == 0), (WARM_UP / 2, true));
        assert_eq!(measured(|number| number < WARM_UP as u64), (0, true), "while it warms up");
    }
}
