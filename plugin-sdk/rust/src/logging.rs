//! Log drivers, which take the output of containers somewhere, and transformations, which change it on its way to one.
//!
//! ```
//! use wharf_plugin::{Plugin, export_log_driver, host::files, logging::{Batch, Container, LogDriver, LogSink, Options, Outcome}};
//!
//! /// Counts lines.
//! struct Counting;
//!
//! struct Count {
//!     container: String,
//!     lines: u64,
//! }
//!
//! impl Plugin for Counting {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl LogDriver for Counting {
//!     type Sink = Count;
//!
//!     fn validate(&mut self, options: &Options) -> Result<(), String> {
//!         options.keys().next().map_or(Ok(()), |key| Err(format!("unknown log opt '{key}' for counting log driver")))
//!     }
//!
//!     fn open(&mut self, container: &Container, _: &Options, _cursor: u64) -> Result<Count, String> {
//!         Ok(Count { container: container.name.clone(), lines: 0 })
//!     }
//! }
//!
//! impl LogSink for Count {
//!     fn push(&mut self, batch: Batch<'_>, _cursor: u64) -> Result<Outcome, String> {
//!         self.lines += batch.into_iter().filter(|entry| !entry.partial).count() as u64;
//!         wharf_plugin::debug!("{} has {} lines", self.container, self.lines);
//!         Ok(Outcome::Committed)
//!     }
//! }
//!
//! export_log_driver!(Counting);
//! # fn main() {}
//! ```
//!
//! A transformation:
//!
//! ```
//! use wharf_plugin::{Plugin, export_log_transform, logging::{Batch, BatchBuilder, Entry, LogTransform}};
//!
//! /// Cuts lines.
//! struct Short;
//!
//! impl Plugin for Short {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl LogTransform for Short {
//!     fn apply(&mut self, batch: Batch<'_>, made: &mut BatchBuilder) -> Result<(), String> {
//!         for entry in batch {
//!             made.push(&Entry { line: &entry.line[..entry.line.len().min(80)], ..entry });
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_log_transform!(Short);
//! # fn main() {}
//! ```

mod batch;

use crate::plugin::{Component, Plugin, with};
pub use batch::{Batch, BatchBuilder, Entries, Entry, Stream};
use std::{cell::RefCell, collections::BTreeMap, marker::PhantomData};

/// What wit-bindgen makes of `wharf:logging`, an interface each.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    pub mod driver {
        wit_bindgen::generate!({
            path: ["../../wit/logging/0.1.0"],
            inline: "package wharf:guest-log-driver; world guest-log-driver { export wharf:logging/driver@0.1.0; }",
            world: "wharf:guest-log-driver/guest-log-driver",
            generate_all,
            pub_export_macro: true,
            export_macro_name: "export_log_driver",
            default_bindings_module: "wharf_plugin::logging::bindings::driver",
        });
    }

    pub mod transform {
        wit_bindgen::generate!({
            path: ["../../wit/logging/0.1.0"],
            inline: "package wharf:guest-log-transform; world guest-log-transform { export wharf:logging/transform@0.1.0; }",
            world: "wharf:guest-log-transform/guest-log-transform",
            generate_all,
            pub_export_macro: true,
            export_macro_name: "export_log_transform",
            default_bindings_module: "wharf_plugin::logging::bindings::transform",
        });
    }
}

use bindings::{driver::exports::wharf::logging::driver, transform::exports::wharf::logging::transform};
pub use driver::{Container, Outcome};

/// `--log-opt`s.
pub type Options = BTreeMap<String, String>;

/// A log driver.
pub trait LogDriver: Plugin {
    /// The log of one container.
    type Sink: LogSink;

    /// Checks options when a container is created; takes all unless it is said otherwise.
    ///
    /// # Errors
    /// What is wrong with them, for the user.
    fn validate(&mut self, _options: &Options) -> Result<(), String> {
        Ok(())
    }

    /// The sink of a container, when its first batch comes. `cursor` is the last place that was acknowledged, 0 at first.
    ///
    /// # Errors
    /// The batch comes again, and so does this.
    fn open(&mut self, container: &Container, options: &Options, cursor: u64) -> Result<Self::Sink, String>;
}

/// The log of one container on its way out.
pub trait LogSink: 'static {
    /// Takes a batch, which ends at `cursor`.
    ///
    /// # Errors
    /// Nothing was taken: it comes again.
    fn push(&mut self, batch: Batch<'_>, cursor: u64) -> Result<Outcome, String>;

    /// The container has ended and everything was pushed, or the driver is being replaced.
    ///
    /// # Errors
    /// The plugin's own.
    fn close(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A transformation of logs.
pub trait LogTransform: Plugin {
    /// Puts into `made` what is to go on of a batch.
    ///
    /// # Errors
    /// Nothing goes on: the batch comes again.
    fn apply(&mut self, batch: Batch<'_>, made: &mut BatchBuilder) -> Result<(), String>;
}

/// What a sink was asked for, and the sink once it is open.
#[doc(hidden)]
pub struct SinkOf<C: Component<Plugin: LogDriver>> {
    container: Container,
    options: Options,
    cursor: u64,
    open: RefCell<Option<<C::Plugin as LogDriver>::Sink>>,
    of: PhantomData<fn() -> C>,
}

impl<C: Component<Plugin: LogDriver>> SinkOf<C> {
    fn with<T>(&self, call: impl FnOnce(&mut <C::Plugin as LogDriver>::Sink) -> Result<T, String>) -> Result<T, String> {
        let mut open = self.open.borrow_mut();
        match &mut *open {
            Some(sink) => call(sink),
            // The cursor is still where it was, since nothing was pushed.
            none => call(none.insert(with::<C, _>(|plugin| plugin.open(&self.container, &self.options, self.cursor))?)),
        }
    }
}

impl<C: Component<Plugin: LogDriver>> driver::Guest for C {
    type Sink = SinkOf<C>;

    fn validate(options: Vec<(String, String)>) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.validate(&options.into_iter().collect()))
    }
}

impl<C: Component<Plugin: LogDriver>> driver::GuestSink for SinkOf<C> {
    fn new(container: Container, options: Vec<(String, String)>, cursor: u64) -> Self {
        Self { container, options: options.into_iter().collect(), cursor, open: RefCell::new(None), of: PhantomData }
    }

    fn push(&self, batch: Vec<u8>, cursor: u64) -> Result<Outcome, String> {
        self.with(|sink| sink.push(Batch::parse(&batch)?, cursor))
    }

    fn close(&self) -> Result<(), String> {
        self.with(LogSink::close)
    }
}

impl<C: Component<Plugin: LogTransform>> transform::Guest for C {
    fn apply(batch: Vec<u8>) -> Result<Vec<u8>, String> {
        let mut made = BatchBuilder::with_capacity(batch.len());
        with::<C, _>(|plugin| plugin.apply(Batch::parse(&batch)?, &mut made))?;
        Ok(made.finish())
    }
}

/// Makes a type that implements [`LogDriver`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_log_driver {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: log_driver);
    };
}

/// Makes a type that implements [`LogTransform`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_log_transform {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: log_transform);
    };
}
