//! Volume drivers: where the files of volumes are.
//!
//! The engine remembers volumes and who uses them, and mounts by itself: a driver says what to mount. Every call may come again, with
//! the same key, and then means the same; calls for one volume never overlap.
//!
//! ```
//! use wharf_plugin::{Plugin, export_volume_driver, volume::{Answer, MountPlan, Publication, Volume, VolumeDriver}};
//!
//! /// A share for each volume, on one server.
//! struct Shares;
//!
//! impl Plugin for Shares {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl VolumeDriver for Shares {
//!     fn create(&mut self, _key: &str, _volume: &Volume) -> Result<Answer, String> {
//!         Ok(Answer::Done)
//!     }
//!
//!     fn remove(&mut self, _key: &str, _volume: &Volume) -> Result<Answer, String> {
//!         Ok(Answer::Done)
//!     }
//!
//!     fn publish(&mut self, _key: &str, volume: &Volume) -> Result<Publication, String> {
//!         Ok(MountPlan::new("nfs4", "server:/shares").option("soft").below(&volume.id).into())
//!     }
//! }
//!
//! export_volume_driver!(Shares);
//! # fn main() {}
//! ```

use crate::{
    host::secrets::Secret,
    plugin::{Component, Plugin, with},
};

/// What wit-bindgen makes of `wharf:volume`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/host/0.1.0", "../../wit/volume/0.1.0"],
        inline: "package wharf:guest-volume; world guest-volume { export wharf:volume/driver@0.1.0; }",
        world: "wharf:guest-volume/guest-volume",
        with: { "wharf:host/secrets@0.1.0": crate::bindings::wharf::host::secrets },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_volume_driver",
        default_bindings_module: "wharf_plugin::volume::bindings",
    });
}

use bindings::exports::wharf::volume::driver::Guest;
pub use bindings::exports::wharf::volume::driver::{Answer, DriverCapabilities, MountPlan, Progress, Publication, Volume, VolumeStatus};

/// A volume driver. After every error the same is asked for again, with the same key.
pub trait VolumeDriver: Plugin {
    /// What it can do: volumes of this engine only, for several containers at once, unless it is said otherwise.
    fn capabilities(&self) -> DriverCapabilities {
        DriverCapabilities { global: false, shared: true }
    }

    /// Checks the options of a volume before there is one; takes all unless it is said otherwise.
    ///
    /// # Errors
    /// What is wrong with them, for the user.
    fn validate(&mut self, _options: &[(String, String)]) -> Result<(), String> {
        Ok(())
    }

    /// Makes a volume.
    ///
    /// # Errors
    /// The plugin's own.
    fn create(&mut self, key: &str, volume: &Volume) -> Result<Answer, String>;

    /// Removes a volume and its data; one that is gone is removed.
    ///
    /// # Errors
    /// The plugin's own.
    fn remove(&mut self, key: &str, volume: &Volume) -> Result<Answer, String>;

    /// The first container comes; the plan stays mounted until the last goes.
    ///
    /// # Errors
    /// The plugin's own.
    fn publish(&mut self, key: &str, volume: &Volume) -> Result<Publication, String>;

    /// The last container went, and the plan is unmounted. Nothing is to be done unless it is said otherwise.
    ///
    /// # Errors
    /// The plugin's own.
    fn unpublish(&mut self, _key: &str, _volume: &Volume) -> Result<Answer, String> {
        Ok(Answer::Done)
    }

    /// How a volume is; nothing is known unless it is said otherwise.
    ///
    /// # Errors
    /// The plugin's own.
    fn status(&mut self, _volume: &Volume) -> Result<VolumeStatus, String> {
        Ok(VolumeStatus { size: None, used: None, details: Vec::new(), trouble: String::new() })
    }

    /// All volumes that should be there; the names of those that are missing. None is unless it is said otherwise.
    ///
    /// # Errors
    /// The plugin's own.
    fn reconcile(&mut self, _volumes: &[Volume]) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

impl MountPlan {
    /// A file system of this type with this source: all of it, for writing, without options. Needs the permission `mount:FSTYPE`.
    pub fn new(fstype: impl Into<String>, source: impl Into<String>) -> Self {
        let (fstype, source) = (fstype.into(), source.into());
        Self { fstype, source, options: Vec::new(), secrets: Vec::new(), subdirectory: String::new(), read_only: false }
    }

    /// With an option.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// With an option whose value the plugin does not see; `before` is the text before it (`password=`).
    #[must_use]
    pub fn secret(mut self, before: impl Into<String>, secret: Secret) -> Self {
        self.secrets.push((before.into(), secret));
        self
    }

    /// A directory of it.
    #[must_use]
    pub fn below(mut self, subdirectory: impl Into<String>) -> Self {
        self.subdirectory = subdirectory.into();
        self
    }

    /// Nobody can write there.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

impl From<MountPlan> for Publication {
    fn from(plan: MountPlan) -> Self {
        Self::Ready(plan)
    }
}

impl<C: Component<Plugin: VolumeDriver>> Guest for C {
    fn capabilities() -> DriverCapabilities {
        let least = DriverCapabilities { global: false, shared: false };
        with::<C, _>(|plugin| Ok(plugin.capabilities())).unwrap_or(least)
    }

    fn validate(options: Vec<(String, String)>) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.validate(&options))
    }

    fn create(key: String, volume: Volume) -> Result<Answer, String> {
        with::<C, _>(|plugin| plugin.create(&key, &volume))
    }

    fn remove(key: String, volume: Volume) -> Result<Answer, String> {
        with::<C, _>(|plugin| plugin.remove(&key, &volume))
    }

    fn publish(key: String, volume: Volume) -> Result<Publication, String> {
        with::<C, _>(|plugin| plugin.publish(&key, &volume))
    }

    fn unpublish(key: String, volume: Volume) -> Result<Answer, String> {
        with::<C, _>(|plugin| plugin.unpublish(&key, &volume))
    }

    fn status(volume: Volume) -> Result<VolumeStatus, String> {
        with::<C, _>(|plugin| plugin.status(&volume))
    }

    fn reconcile(volumes: Vec<Volume>) -> Result<Vec<String>, String> {
        with::<C, _>(|plugin| plugin.reconcile(&volumes))
    }
}

/// Makes a type that implements [`VolumeDriver`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_volume_driver {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: volume_driver);
    };
}
