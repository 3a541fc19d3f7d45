//! Client of registries, the distribution specification over HTTP: for now what a login needs.
//!
//! Not here: what is done with images (crate `wharf-images`), and which registries the configuration trusts beyond reading the
//! option's value ([`Insecure`]). Start with [`Client::login`] in `login.rs`: it pings a registry, reads its challenges
//! ([`challenge`]) and answers them, by itself or with a token (`token.rs`). `answer.rs` puts failures in Docker's words.

mod address;
mod answer;
pub mod challenge;
mod client;
mod credentials;
mod dial;
mod insecure;
mod login;
mod tls;
mod token;

pub use address::Address;
pub use client::{Client, Options};
pub use credentials::Credentials;
pub use insecure::Insecure;
