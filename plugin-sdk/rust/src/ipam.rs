//! IPAM drivers: which addresses networks and their endpoints have.
//!
//! The engine writes every lease down before it is used. Every call may come again, with the same key, and then means the same.
//!
//! ```
//! use wharf_plugin::{Plugin, export_ipam_driver, ipam::{IpamDriver, Lease, Owner, Pool, PoolRequest, PoolUsage}};
//!
//! /// Who does not say which address they want has none.
//! struct Strict;
//!
//! impl Plugin for Strict {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl IpamDriver for Strict {
//!     fn open_pool(&mut self, _key: &str, request: &PoolRequest) -> Result<Pool, String> {
//!         Ok(Pool { id: request.subnet.clone(), subnet: request.subnet.clone(), gateway: String::new() })
//!     }
//!
//!     fn close_pool(&mut self, _key: &str, _pool: &str) -> Result<(), String> {
//!         Ok(())
//!     }
//!
//!     fn allocate(&mut self, _key: &str, pool: &str, owner: &Owner, preferred: Option<&str>) -> Result<Lease, String> {
//!         let address = preferred.ok_or("an address has to be given with --ip")?;
//!         Ok(Lease { pool: pool.to_owned(), address: address.to_owned(), owner: owner.clone(), expires: None })
//!     }
//!
//!     fn release(&mut self, _key: &str, _lease: &Lease) -> Result<(), String> {
//!         Ok(())
//!     }
//!
//!     fn usage(&mut self, _pool: &str) -> Result<PoolUsage, String> {
//!         Ok(PoolUsage { total: 0, used: 0 })
//!     }
//!
//!     fn reconcile(&mut self, _leases: &[Lease]) -> Result<(), String> {
//!         Ok(())
//!     }
//! }
//!
//! export_ipam_driver!(Strict);
//! # fn main() {}
//! ```

use crate::plugin::{Component, Plugin, with};

/// What wit-bindgen makes of `wharf:ipam`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/ipam/0.1.0"],
        inline: "package wharf:guest-ipam; world guest-ipam { export wharf:ipam/driver@0.1.0; }",
        world: "wharf:guest-ipam/guest-ipam",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_ipam_driver",
        default_bindings_module: "wharf_plugin::ipam::bindings",
    });
}

use bindings::exports::wharf::ipam::driver::Guest;
pub use bindings::exports::wharf::ipam::driver::{Lease, Owner, Pool, PoolRequest, PoolUsage};

/// An IPAM driver. After an error the engine has no address, and no endpoint.
pub trait IpamDriver: Plugin {
    /// Addresses for a network.
    ///
    /// # Errors
    /// The plugin's own.
    fn open_pool(&mut self, key: &str, request: &PoolRequest) -> Result<Pool, String>;

    /// The network is gone.
    ///
    /// # Errors
    /// The plugin's own.
    fn close_pool(&mut self, key: &str, pool: &str) -> Result<(), String>;

    /// An address of a pool. `preferred` is what the user asked for: it is that one or an error.
    ///
    /// # Errors
    /// The plugin's own.
    fn allocate(&mut self, key: &str, pool: &str, owner: &Owner, preferred: Option<&str>) -> Result<Lease, String>;

    /// The address is free again.
    ///
    /// # Errors
    /// The plugin's own.
    fn release(&mut self, key: &str, lease: &Lease) -> Result<(), String>;

    /// The lease with its new time; as it is unless it is said otherwise, for drivers whose leases do not end.
    ///
    /// # Errors
    /// It ends.
    fn renew(&mut self, lease: &Lease) -> Result<Lease, String> {
        Ok(lease.clone())
    }

    /// How full a pool is.
    ///
    /// # Errors
    /// The plugin's own.
    fn usage(&mut self, pool: &str) -> Result<PoolUsage, String>;

    /// All leases that are in use: others may be given away again.
    ///
    /// # Errors
    /// The plugin's own.
    fn reconcile(&mut self, leases: &[Lease]) -> Result<(), String>;
}

impl<C: Component<Plugin: IpamDriver>> Guest for C {
    fn open_pool(key: String, request: PoolRequest) -> Result<Pool, String> {
        with::<C, _>(|plugin| plugin.open_pool(&key, &request))
    }

    fn close_pool(key: String, pool: String) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.close_pool(&key, &pool))
    }

    fn allocate(key: String, pool: String, owner: Owner, preferred: Option<String>) -> Result<Lease, String> {
        with::<C, _>(|plugin| plugin.allocate(&key, &pool, &owner, preferred.as_deref()))
    }

    fn release(key: String, lease: Lease) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.release(&key, &lease))
    }

    fn renew(lease: Lease) -> Result<Lease, String> {
        with::<C, _>(|plugin| plugin.renew(&lease))
    }

    fn usage(pool: String) -> Result<PoolUsage, String> {
        with::<C, _>(|plugin| plugin.usage(&pool))
    }

    fn reconcile(leases: Vec<Lease>) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.reconcile(&leases))
    }
}

/// Makes a type that implements [`IpamDriver`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_ipam_driver {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: ipam_driver);
    };
}
