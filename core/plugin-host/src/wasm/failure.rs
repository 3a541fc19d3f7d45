//! Why a call had no answer, in words for an operator.

use crate::words::cut;
use std::{fmt, time::Duration};
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// What ends an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It took longer.
    Deadline(Duration),
    /// It wanted more bytes of memory than these.
    Memory(usize),
    /// It called too deep.
    Stack,
    /// It ended itself, as a panic does.
    Panic,
    /// It did what is not allowed, or returned what is no answer.
    Crash(String),
    /// It answered in the right form what makes no sense.
    Nonsense(String),
    /// There are as many instances as there may be. It is not to blame.
    Crowded,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(limit) => write!(f, "it did not answer within {limit:?}"),
            Self::Memory(limit) => write!(f, "it needed more than its {limit} bytes of memory"),
            Self::Stack => f.write_str("it ran out of stack"),
            Self::Panic => f.write_str("it panicked (see its log)"),
            Self::Crash(what) => write!(f, "it crashed: {what}"),
            Self::Nonsense(what) => write!(f, "it answered nonsense: {what}"),
            Self::Crowded => f.write_str("it is busy: the instances of all plugins are as many as there may be"),
        }
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(known) = error.downcast_ref::<Self>() {
            return known.clone();
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Crowded;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::Stack,
            Some(Trap::UnreachableCodeReached) => Self::Panic,
            Some(trap) => Self::Crash(trap.to_string()),
            None => Self::Crash(cut(error.root_cause().to_string())),
        }
    }
}
