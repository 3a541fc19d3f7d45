//! The options as they were given, defaults included: the right shapes, no meaning yet. One field per supported row of the
//! table, in its order.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use wharf_types::{Error, Result};

/// See the module.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)] // the table describes each
pub struct Raw {
    pub debug: bool,
    pub log_level: String,
    pub log_format: String,
    pub pidfile: String,
    pub shutdown_timeout: i64,
    pub live_restore: bool,
    #[serde(default)]
    pub labels: Vec<String>,

    pub hosts: Vec<String>,
    pub group: String,
    pub tls: bool,
    pub tlsverify: Option<bool>,
    pub tlscacert: Option<String>,
    pub tlscert: Option<String>,
    pub tlskey: Option<String>,
    pub min_api_version: String,

    pub data_root: String,
    pub exec_root: String,
    pub storage_driver: Option<String>,

    pub default_runtime: String,
    #[serde(default)]
    pub runtimes: BTreeMap<String, RawRuntime>,
    pub shim_path: Option<String>,
    #[serde(default)]
    pub exec_opts: Vec<String>,
    pub cgroup_parent: Option<String>,

    pub default_stop_timeout: i64,
    pub default_shm_size: Value,
    pub default_ipc_mode: String,
    pub default_cgroupns_mode: Option<String>,
    #[serde(default)]
    pub default_ulimits: BTreeMap<String, RawUlimit>,
    pub init: bool,
    pub init_path: Option<String>,
    pub seccomp_profile: String,
    pub no_new_privileges: bool,
    pub log_driver: String,
    #[serde(default)]
    pub log_opts: BTreeMap<String, String>,

    pub bridge: Option<String>,
    pub bip: Option<String>,
    pub fixed_cidr: Option<String>,
    pub default_gateway: Option<String>,
    pub mtu: i64,
    pub icc: bool,
    pub ip_forward: bool,
    pub ip_masq: bool,
    pub iptables: bool,
    #[serde(default)]
    pub dns: Vec<String>,
    #[serde(default)]
    pub dns_opts: Vec<String>,
    #[serde(default)]
    pub dns_search: Vec<String>,
    #[serde(default)]
    pub host_gateway_ips: Vec<String>,
    pub host_gateway_ip: Option<String>,
    #[serde(default)]
    pub default_address_pools: Vec<RawPool>,

    #[serde(default)]
    pub insecure_registries: Vec<String>,

    #[serde(default)]
    pub authorization_plugins: Vec<String>,
    pub metrics_addr: Option<String>,
    #[serde(default)]
    pub authorization_monitor: Vec<String>,
    pub authorization_log: Option<String>,
    pub authorization_log_level: String,
    #[serde(default)]
    pub plugins: Vec<RawPlugin>,
    pub allow_native_plugins: bool,
}

/// A plugin of `plugins`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[allow(missing_docs)]
pub struct RawPlugin {
    pub name: String,
    pub path: String,
    #[serde(default)]
    pub settings: Map<String, Value>,
    pub permissions: Option<Vec<String>>,
}

/// A runtime of `runtimes`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[allow(missing_docs)]
pub struct RawRuntime {
    pub path: String,
    #[serde(default, rename = "runtimeArgs")]
    pub args: Vec<String>,
}

/// A limit of `default-ulimits`; its key is its name, which the value may repeat.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct RawUlimit {
    pub name: Option<String>,
    pub soft: i64,
    pub hard: i64,
}

/// A pool of `default-address-pools`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[allow(missing_docs)]
pub struct RawPool {
    pub base: String,
    pub size: i64,
}

impl Raw {
    /// Reads what [`super::file::unite`] made, with the table's defaults filled in.
    ///
    /// # Errors
    /// Only when the table and this type disagree.
    pub fn from_keys(keys: Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(keys)).map_err(|e| Error::invalid(format!("invalid configuration: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{Support, TABLE};

    #[test]
    fn fields_and_table_agree() {
        let keys = crate::config::with_defaults(Map::new());
        let Value::Object(fields) = serde_json::to_value(Raw::from_keys(keys).unwrap()).unwrap() else { panic!() };
        let fields: Vec<_> = fields.keys().map(String::as_str).collect();
        let table: Vec<_> = TABLE.iter().filter(|o| o.in_file && o.support == Support::Yes).map(|o| o.key).collect();
        assert_eq!(fields, table);
    }
}
