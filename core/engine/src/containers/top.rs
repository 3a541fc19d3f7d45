//! `docker top`: the host's `ps`, reduced to the container's processes.

use super::{Containers, actor, call_failed};
use std::collections::HashSet;
use tokio::process::Command;
use wharf_types::{Error, Result};

/// Answer of top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// Column titles of `ps`.
    pub titles: Vec<String>,
    /// One row per process.
    pub processes: Vec<Vec<String>>,
}

impl Containers {
    /// Its processes as the host's `ps` shows them.
    ///
    /// # Errors
    /// 409 when it does not run, 400 for options that would hide the pid.
    pub async fn top(&self, name: &str, ps_args: &str) -> Result<Top> {
        let args: Vec<&str> = if ps_args.is_empty() { vec!["-ef"] } else { ps_args.split_whitespace().collect() };
        validate(&args)?;
        let (view, task) = self.running(name)?;
        let pids = task.pids().await.map_err(|e| call_failed(view.id(), e))?;
        let list = pids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let selected: Vec<_> = args.iter().map(ToString::to_string).chain([format!("-q{list}")]).collect();
        // Some options of ps exclude -q; then all processes are listed and filtered here.
        let output = match ps(&selected).await {
            Ok(output) => output,
            Err(_) => ps(&args).await?,
        };
        let top = parse(&output, &pids)?;
        self.shared.events.publish("container", "top", view.id().as_str(), actor::attributes(&view.spec));
        Ok(top)
    }
}

async fn ps<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<String> {
    let output = Command::new("ps").args(args).output().await.map_err(|e| Error::system(format!("error running ps: {e}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::system(format!("error running ps: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// Refuses output formats that rename the pid column, as `-o pid=X` does.
fn validate(args: &[&str]) -> Result<()> {
    let renames = args.iter().flat_map(|a| a.split(',')).find(|a| a.trim_start_matches("-o").starts_with("pid="));
    match renames {
        Some(a) => Err(Error::invalid(format!("specifying \"{a}\" is not allowed"))),
        None => Ok(()),
    }
}

/// Splits `ps`'s table; the last column takes the rest of its line.
fn parse(output: &str, pids: &[i32]) -> Result<Top> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let column = titles.iter().position(|t| t == "PID").ok_or_else(|| Error::system("Couldn't find PID field in ps output"))?;
    let pids: HashSet<i32> = pids.iter().copied().collect();
    let mut processes = Vec::new();
    for line in lines.filter(|l| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid = words.get(column).ok_or_else(|| Error::system(format!("unexpected line of ps: {line:?}")))?;
        let pid: i32 = pid.parse().map_err(|_| Error::system(format!("unexpected pid {pid:?} from ps")))?;
        if pids.contains(&pid) {
            let last = titles.len() - 1;
            let mut row: Vec<String> = words.iter().take(last).map(ToString::to_string).collect();
            row.push(words.get(last..).unwrap_or_default().join(" "));
            processes.push(row);
        }
    }
    Ok(Top { titles, processes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_types::ErrorKind;

    #[test]
    fn keeps_the_containers_processes() {
        let out = "UID  PID CMD\nroot 1 init\nroot 12 sleep 300 x\n";
        let top = parse(out, &[12]).unwrap();
        assert_eq!(top.titles, ["UID", "PID", "CMD"]);
        assert_eq!(top.processes, [["root", "12", "sleep 300 x"]]);
        assert_eq!(parse("UID CMD\n", &[]).unwrap_err().message(), "Couldn't find PID field in ps output");
    }

    #[test]
    fn a_container_that_ended_meanwhile_does_not_run() {
        let id: wharf_types::ContainerId = "a".repeat(64).parse().unwrap();
        let ended = call_failed(&id, Error::unavailable("the container's monitor is gone"));
        assert_eq!((ended.kind(), ended.message()), (ErrorKind::Conflict, format!("container {id} is not running").as_str()));
        assert_eq!(call_failed(&id, Error::system("x")).kind(), ErrorKind::System);
    }

    #[test]
    fn renamed_pids_are_refused() {
        assert!(validate(&["-o", "user,pid=X"]).is_err());
        assert!(validate(&["-opid=X"]).is_err());
        assert!(validate(&["-o", "pid,user"]).is_ok());
    }
}
