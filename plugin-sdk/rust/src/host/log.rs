//! The log of the plugin: the macros [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn) and
//! [`error!`](crate::error) write to it.

pub use super::raw::log::{Level, write};

/// Writes a line for who looks for a fault: `debug!("{n} entries")`.
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::host::log::write($crate::host::log::Level::Debug, &::std::format!($($text)+)) };
}

/// Writes a line about what is as it should be.
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::host::log::write($crate::host::log::Level::Info, &::std::format!($($text)+)) };
}

/// Writes a line about what an operator should know.
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::host::log::write($crate::host::log::Level::Warn, &::std::format!($($text)+)) };
}

/// Writes a line about what did not work.
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::host::log::write($crate::host::log::Level::Error, &::std::format!($($text)+)) };
}
