//! The life of a plugin, whatever its kind.

use crate::bindings::exports::wharf::plugin::lifecycle;
use std::{cell::RefCell, thread::LocalKey};

/// A plugin: what exists once in every instance. What it does is said by the traits of the kinds, of which it may implement several.
///
/// The engine makes and drops instances as it likes, and each kind has instances of its own: nothing in memory survives or is shared.
/// What must last belongs into [`host::state`](crate::host::state).
pub trait Plugin: Sized + 'static {
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

    /// A timer of this name went off.
    ///
    /// # Errors
    /// The plugin's own; one that sets no timers has none of that name.
    fn wake(&mut self, timer: &str) -> Result<(), String> {
        Err(format!("there is no timer \"{timer}\""))
    }
}

/// The component that a macro made of a plugin. What kinds export is implemented for all of them.
#[doc(hidden)]
pub trait Component: 'static {
    /// What it is made of.
    type Plugin: Plugin;
    /// Where the one plugin is.
    fn slot() -> &'static LocalKey<Slot<Self::Plugin>>;
}

/// The plugin, once it was started.
#[doc(hidden)]
pub struct Slot<P>(RefCell<Option<P>>);

impl<P: Plugin> Slot<P> {
    /// Before the start.
    #[allow(clippy::new_without_default, reason = "for the macro only")]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    fn start(&self) -> Result<(), String> {
        #[cfg(target_family = "wasm")]
        std::panic::set_hook(Box::new(|panic| crate::error!("{panic}")));
        *self.0.borrow_mut() = Some(P::start()?);
        Ok(())
    }

    fn with<T>(&self, call: impl FnOnce(&mut P) -> Result<T, String>) -> Result<T, String> {
        self.0.borrow_mut().as_mut().map_or_else(|| Err("the plugin was not started".to_owned()), call)
    }
}

/// Calls the plugin of a component.
pub(crate) fn with<C: Component, T>(call: impl FnOnce(&mut C::Plugin) -> Result<T, String>) -> Result<T, String> {
    C::slot().with(|slot| slot.with(call))
}

impl<C: Component> lifecycle::Guest for C {
    fn start() -> Result<(), String> {
        C::slot().with(Slot::start)
    }

    fn reload() -> Result<(), String> {
        with::<C, _>(Plugin::reload)
    }

    fn wake(timer: String) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.wake(&timer))
    }
}

/// Makes a type the plugin of this component, of the kinds that are named: `authz`, `log_driver`, `log_transform`, `volume_driver`,
/// `metrics_sink`, `ipam_driver`. Once in a crate.
///
/// The type implements [`Plugin`](crate::Plugin) and the trait of each kind. For one kind there are shorter macros
/// ([`export_authorizer!`](crate::export_authorizer) and so on).
///
/// ```
/// use wharf_plugin::{Plugin, export_plugin, logging::{Batch, BatchBuilder, LogTransform}, metrics_sink::{Family, MetricsSink}};
///
/// struct Both;
///
/// impl Plugin for Both {
///     fn start() -> Result<Self, String> {
///         Ok(Self)
///     }
/// }
///
/// impl LogTransform for Both {
///     fn apply(&mut self, batch: Batch<'_>, made: &mut BatchBuilder) -> Result<(), String> {
///         batch.into_iter().filter(|entry| !entry.line.is_empty()).for_each(|entry| made.push(&entry));
///         Ok(())
///     }
/// }
///
/// impl MetricsSink for Both {
///     fn push(&mut self, _time: u64, _families: &[Family]) -> Result<(), String> {
///         Ok(())
///     }
/// }
///
/// export_plugin!(Both: log_transform, metrics_sink);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty: $($kind:ident),+ $(,)?) => {
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: $crate::plugin::Slot<$plugin> = const { $crate::plugin::Slot::new() };
            }

            struct Component;

            impl $crate::plugin::Component for Component {
                type Plugin = $plugin;
                fn slot() -> &'static ::std::thread::LocalKey<$crate::plugin::Slot<$plugin>> {
                    &PLUGIN
                }
            }

            $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings);
            $($crate::__export_kind!($kind Component);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    (authz $component:ident) => {
        $crate::authz::bindings::export_authz!($component with_types_in $crate::authz::bindings);
    };
    (log_driver $component:ident) => {
        $crate::logging::bindings::driver::export_log_driver!($component with_types_in $crate::logging::bindings::driver);
    };
    (log_transform $component:ident) => {
        $crate::logging::bindings::transform::export_log_transform!($component with_types_in $crate::logging::bindings::transform);
    };
    (volume_driver $component:ident) => {
        $crate::volume::bindings::export_volume_driver!($component with_types_in $crate::volume::bindings);
    };
    (metrics_sink $component:ident) => {
        $crate::metrics_sink::bindings::export_metrics_sink!($component with_types_in $crate::metrics_sink::bindings);
    };
    (ipam_driver $component:ident) => {
        $crate::ipam::bindings::export_ipam_driver!($component with_types_in $crate::ipam::bindings);
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

    impl Plugin for Fragile {
        fn start() -> Result<Self, String> {
            match STARTS.replace(STARTS.get() + 1) {
                1 => Err("no".to_owned()),
                n => Ok(Self(n)),
            }
        }
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let slot: Slot<Fragile> = Slot::new();
        let number = || slot.with(|p| Ok(p.0));
        assert_eq!(number(), Err("the plugin was not started".to_owned()));
        slot.start().unwrap();
        assert_eq!(slot.with(Plugin::reload), Err("no".to_owned()));
        assert_eq!(number(), Ok(0));
        slot.with(Plugin::reload).unwrap();
        assert_eq!(number(), Ok(2));
    }
}
