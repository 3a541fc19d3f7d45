//! Authorization: who may do what.
//!
//! ```
//! use wharf_plugin::authz::{Authorizer, Decision, Request, Verdict, export_authorizer};
//!
//! struct RootOnly;
//!
//! impl Authorizer for RootOnly {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//!
//!     fn judge(&self, request: &Request) -> Result<Decision, String> {
//!         let root = request.caller.process.as_ref().is_some_and(|p| p.uid == 0);
//!         Ok(if root { Verdict::Allow } else { Verdict::deny("only root may use this engine") }.into())
//!     }
//! }
//!
//! export_authorizer!(RootOnly);
//! # fn main() {}
//! ```

use std::cell::RefCell;

/// What wit-bindgen makes of the world `wharf:plugin/authz`.
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: [
            "../../wit/host/0.1.0", "../../wit/authz/0.1.0", "../../wit/logging/0.1.0", "../../wit/volume/0.1.0",
            "../../wit/metrics/0.1.0", "../../wit/ipam/0.1.0", "../../wit/plugin/0.1.0",
        ],
        world: "wharf:plugin/authz",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_world",
        default_bindings_module: "wharf_plugin::authz::bindings",
    });
}

pub use crate::export_authorizer;
pub use bindings::{
    exports::wharf::authz::authorizer::Interest,
    wharf::authz::types::{Bind, Caller, Certificate, Decision, Denial, Exposure, Object, ObjectKind, Patch, Process, Request, Verdict},
};

/// An authorization plugin. [`export_authorizer!`] makes it the plugin of this component.
///
/// Every error denies what was asked for, and its text goes to the engine's log.
pub trait Authorizer: Sized + 'static {
    /// Reads settings and files. An error keeps the plugin from being enabled, and is shown to the operator.
    ///
    /// # Errors
    /// The plugin's own.
    fn start() -> Result<Self, String>;

    /// Settings or files have changed. After an error everything stays as it was. Starts anew unless it is said otherwise.
    ///
    /// # Errors
    /// The plugin's own.
    fn reload(&mut self) -> Result<(), String> {
        *self = Self::start()?;
        Ok(())
    }

    /// What it wants to be asked and told; the least unless it is said otherwise.
    fn interests(&self) -> Interest {
        Interest { input: false, filter: false }
    }

    /// Takes a decision.
    ///
    /// # Errors
    /// The plugin's own.
    fn judge(&self, request: &Request) -> Result<Decision, String>;

    /// Which of these objects the caller may see, in the same order; asked only when [`Authorizer::interests`] says so.
    ///
    /// # Errors
    /// The plugin's own.
    fn filter(&self, _caller: &Caller, objects: &[Object]) -> Result<Vec<bool>, String> {
        Ok(vec![true; objects.len()])
    }

    /// A timer of this name went off.
    ///
    /// # Errors
    /// The plugin's own; one that sets no timers has none of that name.
    fn wake(&mut self, timer: &str) -> Result<(), String> {
        Err(format!("there is no timer \"{timer}\""))
    }
}

impl Verdict {
    /// A refusal with HTTP 403.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny(Denial { reason: reason.into(), hide: false })
    }
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, rule: String::new() }
    }
}

/// The plugin of a component; [`export_authorizer!`] makes one.
#[doc(hidden)]
pub struct Slot<P>(RefCell<Option<P>>);

impl<P: Authorizer> Slot<P> {
    /// Before the start.
    #[allow(clippy::new_without_default, reason = "for the macro only")]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Once, before everything else.
    pub fn start(&self) -> Result<(), String> {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|panic| crate::host::log::write(crate::host::log::Level::Error, &panic.to_string())));
        *self.0.borrow_mut() = Some(P::start()?);
        Ok(())
    }

    /// Calls it.
    pub fn with<T>(&self, call: impl FnOnce(&mut P) -> Result<T, String>) -> Result<T, String> {
        self.0.borrow_mut().as_mut().map_or_else(|| Err("the plugin was not started".to_owned()), call)
    }
}

/// Makes a type that implements [`Authorizer`](crate::authz::Authorizer) the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_authorizer {
    ($plugin:ty) => {
        const _: () = {
            use $crate::authz::{Caller, Decision, Interest, Object, Request, Slot, bindings};
            type Outcome<T> = ::std::result::Result<T, ::std::string::String>;

            ::std::thread_local! {
                static PLUGIN: Slot<$plugin> = const { Slot::new() };
            }

            struct Component;

            impl bindings::exports::wharf::plugin::lifecycle::Guest for Component {
                fn start() -> Outcome<()> {
                    PLUGIN.with(|p| p.start())
                }
                fn reload() -> Outcome<()> {
                    PLUGIN.with(|p| p.with(|p| $crate::authz::Authorizer::reload(p)))
                }
                fn wake(timer: ::std::string::String) -> Outcome<()> {
                    PLUGIN.with(|p| p.with(|p| $crate::authz::Authorizer::wake(p, &timer)))
                }
            }

            impl bindings::exports::wharf::authz::authorizer::Guest for Component {
                fn interests() -> Interest {
                    let none = Interest { input: false, filter: false };
                    PLUGIN.with(|p| p.with(|p| Ok($crate::authz::Authorizer::interests(p)))).unwrap_or(none)
                }
                fn judge(request: Request) -> Outcome<Decision> {
                    PLUGIN.with(|p| p.with(|p| $crate::authz::Authorizer::judge(p, &request)))
                }
                fn filter(caller: Caller, objects: ::std::vec::Vec<Object>) -> Outcome<::std::vec::Vec<bool>> {
                    PLUGIN.with(|p| p.with(|p| $crate::authz::Authorizer::filter(p, &caller, &objects)))
                }
            }

    bindings::export_world!(Component with_types_in bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static STARTS: Cell<u32> = const { Cell::new(0) };
    }

    /// Its second start fails.
    struct Fragile(u32);

    impl Authorizer for Fragile {
        fn start() -> Result<Self, String> {
            match STARTS.replace(STARTS.get() + 1) {
                1 => Err("no".to_owned()),
                n => Ok(Self(n)),
            }
        }

        fn judge(&self, _: &Request) -> Result<Decision, String> {
            Ok(Verdict::deny(self.0.to_string()).into())
        }
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let slot: Slot<Fragile> = Slot::new();
        let number = || slot.with(|p| Ok(p.0));
        assert_eq!(number(), Err("the plugin was not started".to_owned()));
        slot.start().unwrap();
        assert_eq!(slot.with(Authorizer::reload), Err("no".to_owned()));
        assert_eq!(number(), Ok(0));
        slot.with(Authorizer::reload).unwrap();
        assert_eq!(number(), Ok(2));
    }
}
