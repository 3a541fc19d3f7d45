//! Real containers, made by real monitors, over every runtime of this host: the embedded one, and runc where it is installed.
//!
//! Needs root, `/bin/busybox` (Debian: busybox-static) and the monitor's binary (`WHARF_SHIM`, or where `make dev` puts it).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod adoption;
mod exec;
mod life;
mod logs;
mod speed;
mod stage;
mod streams;

/// One test for each runtime.
#[macro_export]
macro_rules! matrix {
    ($($name:ident),* $(,)?) => {
        mod builtin {
            $(#[tokio::test] async fn $name() { super::$name($crate::stage::Stage::builtin()).await })*
        }
        mod runc {
            $(#[tokio::test] async fn $name() {
                if let Some(stage) = $crate::stage::Stage::runc() { super::$name(stage).await }
            })*
        }
    };
}
