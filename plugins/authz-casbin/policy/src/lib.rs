//! Casbin's policies, evaluated: a model file in the PERM language (request, policy, effect, matchers) and policy files in CSV form,
//! both as Casbin's users have them.
//!
//! It is a library of pure functions without input or output; it knows nothing of containers and of WebAssembly. Unlike Casbin it
//! does not try every rule: [`index`] finds in the matcher what a rule's fields must be, and only such rules are evaluated. It is
//! stricter where a mistake would go unnoticed: unknown sections, rules with too many fields and operators between values of
//! different kinds are errors, which name the file and the line. What it reads and what it does not is told in the plugin's README.
//!
//! Start reading at [`policy`]; the rest in the order of a request: [`index`], [`eval`], [`effect`].

mod beginnings;
mod effect;
mod error;
mod eval;
mod expr;
mod index;
mod lexer;
mod model;
mod parser;
mod pattern;
mod policy;
mod roles;
mod rules;
mod value;

pub use error::{Error, Result, Source};
pub use policy::{Decision, Matching, Policy};
pub use rules::Rule;
pub use value::Value;
