//! Authorization: who may do what.
//!
//! ```
//! use wharf_plugin::{Plugin, authz::{Authorizer, Decision, Request, Verdict}, export_authorizer};
//!
//! struct RootOnly;
//!
//! impl Plugin for RootOnly {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Authorizer for RootOnly {
//!     fn judge(&self, request: &Request) -> Result<Decision, String> {
//!         let root = request.caller.process.as_ref().is_some_and(|p| p.uid == 0);
//!         Ok(if root { Verdict::Allow } else { Verdict::deny("only root may use this engine") }.into())
//!     }
//! }
//!
//! export_authorizer!(RootOnly);
//! # fn main() {}
//! ```

use crate::plugin::{Component, Plugin, with};

/// What wit-bindgen makes of `wharf:authz`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/authz/0.1.0"],
        inline: "package wharf:guest-authz; world guest-authz { export wharf:authz/authorizer@0.1.0; }",
        world: "wharf:guest-authz/guest-authz",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_authz",
        default_bindings_module: "wharf_plugin::authz::bindings",
    });
}

use bindings::exports::wharf::authz::authorizer::Guest;
pub use bindings::{
    exports::wharf::authz::authorizer::Interest,
    wharf::authz::types::{Bind, Caller, Certificate, Decision, Denial, Exposure, Object, ObjectKind, Patch, Process, Request, Verdict},
};

/// An authorization plugin.
///
/// Every error denies what was asked for, and its text goes to the engine's log.
pub trait Authorizer: Plugin {
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

impl<C: Component<Plugin: Authorizer>> Guest for C {
    fn interests() -> Interest {
        let none = Interest { input: false, filter: false };
        with::<C, _>(|plugin| Ok(plugin.interests())).unwrap_or(none)
    }

    fn judge(request: Request) -> Result<Decision, String> {
        with::<C, _>(|plugin| plugin.judge(&request))
    }

    fn filter(caller: Caller, objects: Vec<Object>) -> Result<Vec<bool>, String> {
        with::<C, _>(|plugin| plugin.filter(&caller, &objects))
    }
}

/// Makes a type that implements [`Authorizer`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_authorizer {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: authz);
    };
}
