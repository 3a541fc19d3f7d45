//! Attach and logs.

use super::{Containers, actor, actor::Command};
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use std::sync::Arc;
use tokio::{
    net::UnixStream,
    sync::{oneshot, watch},
};
use wharf_logs::{LogFile, LogFormat, LogQuery, Tail};
use wharf_runtime::task::{AttachRequest, Attached};
use wharf_types::{ContainerId, Error, Result, Timestamp};

/// Query of attach.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttachOptions {
    /// Feed the client's bytes to stdin (ignored unless the container keeps stdin open).
    pub stdin: bool,
    /// Send stdout.
    pub stdout: bool,
    /// Send stderr.
    pub stderr: bool,
    /// Replay the log first.
    pub logs: bool,
    /// Stay attached; false only replays.
    pub stream: bool,
}

/// An accepted attach; the answer's headers can be sent before [`Attachment::open`] completes.
pub struct Attachment {
    /// The container attached to.
    pub id: ContainerId,
    /// Raw bytes when true, 8-byte multiplex frames otherwise.
    pub tty: bool,
    live: Option<oneshot::Receiver<Result<Attached>>>,
    log: Option<(LogFile, AttachOptions)>,
}

/// The two halves of an attach: what was logged before, then the live connection (raw or multiplexed already; bytes written
/// to it go to stdin, shutting down its write half ends stdin as `StdinOnce` says).
pub struct AttachedIo {
    /// Output logged so far, framed as the live stream is.
    pub replay: Option<BoxStream<'static, Result<Bytes>>>,
    /// The connection to the container's monitor; none when only a replay was asked for, or when the container went away before it started.
    pub live: Option<UnixStream>,
}

impl Attachment {
    /// Waits until the container has started if it has not yet.
    ///
    /// # Errors
    /// When the monitor refuses.
    pub async fn open(self) -> Result<AttachedIo> {
        // No answer: the container was removed, or its start failed.
        let attached = match self.live {
            Some(live) => live.await.ok().transpose()?,
            None => None,
        };
        let until = attached.as_ref().map(|a| a.since);
        let tty = self.tty;
        let replay = self.log.map(|(file, how)| {
            let query = LogQuery { stdout: how.stdout, stderr: how.stderr, since: None, until, tail: Tail::All, follow: false };
            let format = LogFormat { multiplexed: !tty, timestamps: false, details: false };
            wharf_logs::read(file, query, format, watch::channel(true).1).boxed()
        });
        Ok(AttachedIo { replay, live: attached.map(|a| a.stream) })
    }
}

/// Query of logs.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRequest {
    /// Include stdout.
    pub stdout: bool,
    /// Include stderr.
    pub stderr: bool,
    /// Only entries at or after this moment.
    pub since: Option<Timestamp>,
    /// Only entries at or before this moment.
    pub until: Option<Timestamp>,
    /// The last so many lines; none for all.
    pub tail: Option<u64>,
    /// Stay until the container ends.
    pub follow: bool,
    /// Prefix each line with its time.
    pub timestamps: bool,
    /// Prefix each line with its attributes.
    pub details: bool,
}

/// Answer of logs.
pub struct LogOutput {
    /// Raw bytes when true, 8-byte multiplex frames otherwise.
    pub tty: bool,
    /// The body.
    pub stream: BoxStream<'static, Result<Bytes>>,
}

impl Containers {
    /// Attaches; works on created containers too, and publishes the `attach` event.
    ///
    /// # Errors
    /// 409 when it is paused or restarting.
    pub async fn attach(&self, name: &str, how: AttachOptions) -> Result<Attachment> {
        let handle = self.handle(name)?;
        let view = handle.published.borrow().view.clone();
        if view.state.paused {
            return Err(Error::conflict(format!("container {} is paused, unpause the container before attach", view.id())));
        }
        if view.state.restarting {
            return Err(super::restarting(view.id()));
        }
        let log = if how.logs { self.log_file(&view.spec)?.map(|file| (file, how)) } else { None };
        let live = if how.stream {
            let stdin = how.stdin && view.spec.config.open_stdin;
            let rq = AttachRequest { exec: None, stdin, stdout: how.stdout, stderr: how.stderr, logs: how.logs };
            let (reply, attached) = oneshot::channel();
            let gone = |_| Error::not_found(format!("No such container: {name}"));
            handle.commands.send(Command::Attach(rq, reply)).await.map_err(gone)?;
            Some(attached)
        } else {
            None
        };
        self.shared.events.publish("container", "attach", view.id().as_str(), actor::attributes(&view.spec));
        Ok(Attachment { id: view.id().clone(), tty: view.spec.config.tty, live, log })
    }

    /// Publishes the `detach` event.
    pub fn detached(&self, id: &ContainerId) {
        if let Ok(view) = self.get(id.as_str()) {
            self.shared.events.publish("container", "detach", id.as_str(), actor::attributes(&view.spec));
        }
    }

    /// The log.
    ///
    /// # Errors
    /// 501 when the log driver keeps nothing, 409 when the container is being removed.
    pub async fn logs(&self, name: &str, rq: LogRequest) -> Result<LogOutput> {
        let handle = self.handle(name)?;
        let view = handle.published.borrow().view.clone();
        if view.state.removing {
            return Err(Error::conflict("can not get logs from container which is dead or marked for removal"));
        }
        let Some(file) = self.log_file(&view.spec)? else {
            return Err(Error::not_implemented("configured logging driver does not support reading"));
        };
        let tail = rq.tail.map_or(Tail::All, Tail::Lines);
        let query = LogQuery {
            stdout: rq.stdout,
            stderr: rq.stderr,
            since: rq.since,
            until: rq.until,
            tail,
            follow: rq.follow && view.state.running,
        };
        let format = LogFormat { multiplexed: !view.spec.config.tty, timestamps: rq.timestamps, details: rq.details };
        let stream = wharf_logs::read(file, query, format, ended(handle.published)).boxed();
        Ok(LogOutput { tty: view.spec.config.tty, stream })
    }

    fn log_file(&self, spec: &Arc<super::ContainerSpec>) -> Result<Option<LogFile>> {
        match spec.host_config.log_config.kind.as_str() {
            "json-file" => Ok(Some(LogFile::JsonFile(spec.log_path.clone()))),
            "local" => Ok(Some(LogFile::Local(super::plan::local_log(&self.shared, &spec.id)))),
            _ => Ok(None),
        }
    }
}

/// True once a container has ended for good, so that a reader who follows its log knows when to stop.
fn ended(mut published: watch::Receiver<actor::Published>) -> watch::Receiver<bool> {
    let (tx, rx) = watch::channel(false);
    tokio::spawn(async move {
        let over = published.wait_for(|p| !p.view.state.running || p.gone);
        tokio::select! {
            _ = over => {}
            () = tx.closed() => return,
        }
        let _ = tx.send(true);
        // Kept until the reader is done: a closed channel must not look like an end before it is one.
        tx.closed().await;
    });
    rx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_reader_hears_of_the_end() {
        let (tx, rx) = watch::channel(actor::Published::for_test(&ContainerId::random().unwrap()));
        tx.send_modify(|p| p.view.state = Arc::new(super::super::ContainerState { running: true, ..Default::default() }));
        let mut over = ended(rx);
        assert!(!*over.borrow());
        tx.send_modify(|p| p.view.state = Arc::default());
        assert!(*over.wait_for(|e| *e).await.unwrap());
    }
}
