//! One probe: an exec whose output is kept.

use super::{Check, ProbeResult};
use crate::{Containers, Execs, containers::Shared, frames::Unframer, metrics::Metrics};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use wharf_api_types::exec::{ExecCreate, ExecStart};
use wharf_runtime::task::Task;
use wharf_types::{ContainerId, Error, ExecId, GoDuration, Result, Signal, Timestamp};

/// Bytes of output that are kept.
const LIMIT: usize = 4096;
/// How long a killed probe may take to end.
const KILL_GRACE: Duration = Duration::from_secs(3);

/// Runs the check of one container.
pub struct Prober {
    execs: Execs,
    id: ContainerId,
    check: Check,
    metrics: Arc<Metrics>,
}

impl Prober {
    pub fn new(shared: &Arc<Shared>, id: ContainerId, check: Check) -> Self {
        let execs = Execs::new(shared.clone(), Containers::new(shared.clone()));
        Self { execs, id, check, metrics: shared.metrics.clone() }
    }

    /// Runs the command once; none when that was cancelled. Nothing of it runs any more afterwards.
    pub async fn probe(&self, cancel: &CancellationToken) -> Option<ProbeResult> {
        let start = Timestamp::now();
        let outcome = self.run(cancel).await;
        if !matches!(outcome, Ok(None)) {
            self.metrics.health_check(outcome.is_ok());
        }
        let (exit_code, output) = match outcome {
            Ok(ended) => ended?,
            Err(e) => (-1, e.message().to_owned()),
        };
        Some(ProbeResult { start, end: Timestamp::now(), exit_code, output })
    }

    async fn run(&self, cancel: &CancellationToken) -> Result<Option<(i32, String)>> {
        let config =
            ExecCreate { attach_stdout: true, attach_stderr: true, cmd: Some(self.check.command.clone()), ..ExecCreate::default() };
        let exec = self.execs.create(self.id.as_str(), config).await?;
        let ended = self.follow(&exec, cancel).await;
        self.execs.forget(&exec);
        ended
    }

    async fn follow(&self, exec: &ExecId, cancel: &CancellationToken) -> Result<Option<(i32, String)>> {
        let prepared = self.execs.prepare(exec.as_str(), ExecStart::default()).await?.leashed();
        let task = prepared.task();
        let stream = prepared.run().await?;
        let mut output = Output::default();
        let deadline = Instant::now().checked_add(self.check.timeout);
        let complete = async {
            if let Some(stream) = stream {
                output.read(stream).await;
            }
            task.exec_exit(exec).await
        };
        let in_time = async {
            match deadline {
                Some(at) => timeout_at(at, complete).await.ok(),
                None => Some(complete.await),
            }
        };
        let ended = tokio::select! {
            ended = in_time => Some(ended),
            () = cancel.cancelled() => None,
        };
        match ended {
            Some(Some(record)) => Ok(Some((record?.code, output.text()))),
            Some(None) => {
                kill(&task, exec).await;
                let limit = GoDuration::from_nanos(i64::try_from(self.check.timeout.as_nanos()).unwrap_or(i64::MAX));
                let printed = Some(output.text()).filter(|t| !t.is_empty()).map(|t| format!(": {t}")).unwrap_or_default();
                Ok(Some((-1, format!("Health check exceeded timeout ({limit}){printed}"))))
            }
            None => {
                kill(&task, exec).await;
                Ok(None)
            }
        }
    }
}

async fn kill(task: &Task, exec: &ExecId) {
    // One that ended just now is as good as killed.
    if task.kill_exec(exec, Signal::KILL).await.is_ok() {
        let _: Result<Result<_, Error>, _> = tokio::time::timeout(KILL_GRACE, task.exec_exit(exec)).await;
    }
}

/// What a probe prints, without the frames of the stream, as much of it as is kept.
#[derive(Default)]
struct Output {
    frames: Unframer,
    kept: Vec<u8>,
    cut: bool,
}

impl Output {
    async fn read(&mut self, mut stream: UnixStream) {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            self.push(buffer.get(..n).unwrap_or_default());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let Self { frames, kept, cut } = self;
        frames.push(bytes, |part| {
            let free = LIMIT - kept.len();
            kept.extend(part.iter().take(free));
            *cut |= part.len() > free;
        });
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        if self.cut { format!("{text}...") } else { text.into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::frame;

    #[test]
    fn long_output_is_cut() {
        let mut exact = Output::default();
        exact.push(&frame(1, &[b'x'; LIMIT]));
        assert_eq!(exact.text(), "x".repeat(LIMIT));
        exact.push(&frame(2, b"y"));
        assert_eq!(exact.text(), "x".repeat(LIMIT) + "...");
    }
}
