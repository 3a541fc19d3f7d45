//! Compiling in a process of its own.
//!
//! The compiler takes a hundred MiB that a process does not get back, and a component may be made to cost it any time and memory. So
//! the daemon starts its own program again for every component that is not in the cache: the same program has the same compiler.
//! The component goes in through standard input, its length first; the code comes out into the file that is standard output. What
//! went wrong is on standard error. When the daemon goes away, so does the other end of standard input, and the process ends.

use super::engine;
use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use sha2::{Digest, Sha256};
use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use wasmtime::Engine;
use wharf_types::{Error, Result, error::Context};

/// Exit code for what is no component; everything else is a failure of the compiler.
const REFUSED: u8 = 3;
/// Bytes of code; no more memory than [`Limits::memory`] can hold.
const CODE_MAX: u64 = 1 << 30;
/// Bytes that are read of standard error.
const WORDS_MAX: u64 = 4 << 10;
/// Characters of a reason: fewer bytes than [`WORDS_MAX`].
const REASON_MAX: usize = 1000;
/// Threads of the compiler. Each has code in work, which is memory.
const THREADS: usize = 4;

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process: for tests, and for programs that end soon.
    Here,
    /// In a process of its own, by a program that hands what follows these arguments to [`compile_component`].
    Program(PathBuf, Vec<OsString>, CompileLimits),
}

/// How much one compilation may cost.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// From beginning to end.
    pub time: Duration,
    /// Of processors, all threads together.
    pub processor: Duration,
    /// Bytes.
    pub memory: u64,
}

impl Default for CompileLimits {
    /// Components with an interpreter in them take 18 s and 325 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(180), processor: Duration::from_secs(120), memory: 1 << 30 }
    }
}

impl Compiler {
    /// Writes the code of a component, and its checksum, to a new file.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] for what is no component, and for one that exceeds the limits.
    pub(super) async fn compile(&self, engine: &Engine, wasm: Vec<u8>, mut code: File) -> Result<()> {
        match self {
            Self::Here => {
                let engine = engine.clone();
                let work = move || write(&engine, &wasm, &mut code)?.map_err(|why| refused(&why));
                tokio::task::spawn_blocking(work).await.context("compile a component")?
            }
            Self::Program(program, arguments, limits) => {
                let mut command = Command::new(program);
                let work = run(command.args(arguments), limits, &wasm, code);
                match tokio::time::timeout(limits.time, work).await {
                    Ok(outcome) => outcome,
                    // The process went with the future.
                    Err(_) => Err(too_long(limits.time)),
                }
            }
        }
    }
}

async fn run(command: &mut Command, limits: &CompileLimits, wasm: &[u8], code: File) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    command
        .arg(limits.processor.as_secs().max(1).to_string())
        .arg(limits.memory.to_string())
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(code)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("start the compiler of components")?;
    let (mut stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut words = Vec::new();
    let talk = async {
        if let Some(stdin) = &mut stdin {
            stdin.write_all(&(wasm.len() as u64).to_le_bytes()).await?;
            stdin.write_all(wasm).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let listen = async {
        if let Some(stderr) = stderr {
            // Then the pipe is closed, and who goes on writing ends.
            let _ = stderr.take(WORDS_MAX).read_to_end(&mut words).await;
        }
    };
    let (told, (), ended) = tokio::join!(talk, listen, child.wait());
    let status = ended.context("wait for the compiler of components")?;
    drop(stdin);
    let words = String::from_utf8_lossy(&words);
    judge(status, words.trim(), limits)?;
    told.context("give a component to its compiler")
}

fn judge(status: ExitStatus, words: &str, limits: &CompileLimits) -> Result<()> {
    const ABRT: i32 = rustix::process::Signal::ABORT.as_raw();
    const XCPU: i32 = rustix::process::Signal::XCPU.as_raw();
    const XFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        _ if words.contains("annot allocate memory") || words.contains("out of memory") => Err(too_much(limits.memory)),
        (Some(code), _) if code == i32::from(REFUSED) => Err(refused(words)),
        (_, Some(XCPU)) => Err(too_long(limits.processor)),
        (_, Some(XFSZ)) => Err(Error::invalid(format!("compilation made more than {CODE_MAX} bytes of code"))),
        // How the allocator ends a process.
        (_, Some(ABRT)) => Err(too_much(limits.memory)),
        _ => Err(Error::system(format!("the compiler of components failed: {status}: {words}"))),
    }
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("not a component that can run here: {why}"))
}

fn too_long(limit: Duration) -> Error {
    Error::invalid(format!("compilation took too long: more than {limit:?}"))
}

fn too_much(limit: u64) -> Error {
    Error::invalid(format!("compilation took too much memory: more than {} MiB", limit >> 20))
}

/// The code and its checksum; in words why it is no component.
fn write(engine: &Engine, wasm: &[u8], to: &mut impl Write) -> Result<Result<(), String>> {
    let code = match engine.precompile_component(wasm) {
        Ok(code) => code,
        // It may quote names of any length.
        Err(e) => return Ok(Err(format!("{e:#}").chars().take(REASON_MAX).collect())),
    };
    to.write_all(&code).and_then(|()| to.write_all(&Sha256::digest(&code))).context("write the code of a component")?;
    Ok(Ok(()))
}

/// What the program of [`Compiler::Program`] does instead of anything else.
pub fn compile_component(limits: impl Iterator<Item = OsString>) -> ExitCode {
    match child(limits) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => {
            eprintln!("{why}");
            ExitCode::from(REFUSED)
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn child(mut limits: impl Iterator<Item = OsString>) -> Result<Result<(), String>> {
    let mut number = || limits.next().and_then(|word| word.to_str()?.parse::<u64>().ok());
    let (Some(seconds), Some(memory)) = (number(), number()) else {
        return Err(Error::invalid("expected are seconds of processor time and bytes of memory"));
    };
    for (resource, limit) in [(Resource::Cpu, seconds), (Resource::Data, memory), (Resource::Fsize, CODE_MAX), (Resource::Core, 0)] {
        // A second more, since a process that reaches both limits at once is killed without a word. None is ever raised.
        let hard = if resource == Resource::Cpu { limit + 1 } else { limit };
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(limit.min(most)), maximum: Some(hard.min(most)) }).context("limit the compiler")?;
    }
    // The daemon comes first, and the kernel's out-of-memory killer comes here first.
    let _ = nice(10);
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut stdin = std::io::stdin();
    let mut length = [0; 8];
    stdin.read_exact(&mut length).context("read the length")?;
    let length = u64::from_le_bytes(length);
    let mut wasm = Vec::new();
    stdin.by_ref().take(length).read_to_end(&mut wasm).context("read the component")?;
    if wasm.len() as u64 != length {
        return Err(Error::system("the component ends early"));
    }
    std::thread::spawn(move || {
        let _ = stdin.read(&mut [0]);
        std::process::exit(1);
    });
    let out = rustix::io::dup(rustix::stdio::stdout()).map_err(std::io::Error::from).context("standard output")?;
    write(&engine::compiling()?, &wasm, &mut File::from(out))
}
