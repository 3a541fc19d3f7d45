//! Container logs as the daemon sees them: reading what the monitor wrote ([`read`]) and understanding the options of log drivers
//! ([`parse_options`], [`attributes`]).
//!
//! Not here: writing and rotating, which is the monitor's, and the formats of the files, which are `wharf_shim_proto::journal`'s.
//!
//! Start with [`read`]: a thread goes through the [`files`] of a log, takes the [`record`]s out of them and hands
//! [`output`] chunks on; [`follow`] tells it what happens to the files meanwhile.

mod files;
mod follow;
#[cfg(fuzzing)]
pub mod fuzz;
mod options;
mod output;
mod query;
mod read;
mod record;

pub use options::{DRIVERS, LogOptions, TagContext, attributes, parse_options};
pub use query::{LogFile, LogFormat, LogQuery, Tail};
pub use read::read;
