//! One control connection to a monitor, shared by everyone who holds its [`super::Task`].

use super::TaskEvent;
use bytes::{Buf, BytesMut};
use std::{collections::HashMap, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{broadcast, mpsc, oneshot},
};
use wharf_shim_proto::{Call, Event, ExitRecord, Message, Reply, Request, file, frame, message::LAUNCH_ID};
use wharf_types::{Error, ErrorKind, Result};

/// Events that a slow subscriber may fall behind before it misses some; execs of one container rarely end faster.
const EVENT_BACKLOG: usize = 256;

type Answer = oneshot::Sender<Result<Reply>>;

/// The callers' side. Closing all of them closes the connection.
#[derive(Debug)]
pub(super) struct Connection {
    calls: mpsc::UnboundedSender<(Call, Answer)>,
    events: broadcast::Sender<TaskEvent>,
}

impl Connection {
    /// Takes over a connection. `launch` is answered by the monitor's own first message.
    pub(super) fn open(stream: UnixStream, dir: Arc<Path>, launch: Option<Answer>) -> Self {
        let (calls, requests) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let pending = launch.map(|answer| (LAUNCH_ID, answer)).into_iter().collect();
        let driver = Driver { stream, dir, pending, next_id: LAUNCH_ID + 1, events: events.clone(), exit_told: false };
        tokio::spawn(driver.run(requests));
        Self { calls, events }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the monitor answers; [`ErrorKind::Unavailable`] when it is gone.
    pub(super) async fn call(&self, call: Call) -> Result<Reply> {
        let (answer, result) = oneshot::channel();
        self.calls.send((call, answer)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<TaskEvent> {
        self.events.subscribe()
    }

    /// Returns once the monitor has closed the connection, which it does by exiting.
    pub(super) async fn closed(&self) {
        self.calls.closed().await;
    }
}

pub(super) fn gone() -> Error {
    Error::unavailable("the container's monitor is gone")
}

struct Driver {
    stream: UnixStream,
    dir: Arc<Path>,
    pending: HashMap<u64, Answer>,
    next_id: u64,
    events: broadcast::Sender<TaskEvent>,
    exit_told: bool,
}

impl Driver {
    async fn run(mut self, mut requests: mpsc::UnboundedReceiver<(Call, Answer)>) {
        let mut input = BytesMut::new();
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some((call, answer)) => {
                        if self.send(call, answer).await.is_err() { break }
                    }
                    None => return,
                },
                read = self.stream.read_buf(&mut input) => match read {
                    Ok(n) if n > 0 => {
                        if self.receive(&mut input).is_err() { break }
                    }
                    _ => break,
                },
            }
        }
        requests.close();
        self.tell_end().await;
    }

    async fn send(&mut self, call: Call, answer: Answer) -> Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        match frame::encode(&Request { id, call }) {
            Ok(bytes) => {
                self.pending.insert(id, answer);
                Ok(self.stream.write_all(&bytes).await?)
            }
            Err(e) => {
                let _ = answer.send(Err(e));
                Ok(())
            }
        }
    }

    fn receive(&mut self, input: &mut BytesMut) -> Result<()> {
        while let Some((body, used)) = frame::split(input)? {
            self.dispatch(frame::parse(body)?);
            input.advance(used);
        }
        Ok(())
    }

    fn dispatch(&mut self, message: Message) {
        if let Some(answer) = message.id.and_then(|id| self.pending.remove(&id)) {
            let result = match (message.ok, message.error) {
                (Some(reply), _) => Ok(reply),
                (None, Some(fault)) => Err(fault.into()),
                (None, None) => Err(Error::system("the container's monitor sent an empty answer")),
            };
            // A caller that went away does not need its answer.
            let _ = answer.send(result);
        }
        let event = match message.event {
            Some(Event::Exited(record)) => {
                self.exit_told = true;
                TaskEvent::Exited(record)
            }
            Some(Event::ExecExited { id, record }) => TaskEvent::ExecExited { id, record },
            Some(Event::Oom) => TaskEvent::Oom,
            None => return,
        };
        let _ = self.events.send(event);
    }

    /// The monitor is gone: the record on disk, if there is one, is the truth.
    async fn tell_end(self) {
        if !self.exit_told {
            let event = match read_exit(&self.dir).await {
                Ok(record) => TaskEvent::Exited(record),
                Err(_) => TaskEvent::Gone,
            };
            let _ = self.events.send(event);
        }
    }
}

/// Reads the exit record in `dir`.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when there is none.
pub(super) async fn read_exit(dir: &Path) -> Result<ExitRecord> {
    match tokio::fs::read(dir.join(file::EXIT)).await {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::new(ErrorKind::Unavailable, gone().message())),
        Err(e) => Err(e.into()),
    }
}
