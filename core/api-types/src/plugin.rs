//! Plugins: `config.json` as Docker's plugin specification has it, and what `/plugins` answers.

use std::collections::BTreeMap;

wire! {
    /// A plugin.
    Plugin {
        ? "Id" id: String,
        "Name" name: String,
        "Enabled" enabled: bool,
        "Settings" settings: PluginSettings,
        ? "PluginReference" reference: String,
        "Config" config: PluginConfig,
        ? "Wharf" wharf: Option<PluginFacts>,
    }
}

wire! {
    /// What Wharf says of a plugin beyond Docker.
    PluginFacts {
        ? "Digest" digest: String,
        "Kinds" kinds: Vec<String>,
        "Imports" imports: Vec<String>,
        "Permissions" permissions: Vec<String>,
        "Path" path: String,
        "Status" status: String,
        "Reason" reason: String,
        "Log" log: Vec<String>,
    }
}

wire! {
    /// What of a plugin can be set.
    PluginSettings {
        "Mounts" mounts: Vec<PluginMount>,
        "Env" env: Vec<String>,
        "Args" args: Vec<String>,
        "Devices" devices: Vec<PluginDevice>,
    }
}

wire! {
    /// `config.json`.
    PluginConfig {
        ? "DockerVersion" docker_version: String,
        "Description" description: String,
        "Documentation" documentation: String,
        "Interface" interface: PluginInterface,
        "Entrypoint" entrypoint: Vec<String>,
        "WorkDir" work_dir: String,
        ? "User" user: PluginUser,
        "Network" network: PluginNetwork,
        "Linux" linux: PluginLinux,
        "PropagatedMount" propagated_mount: String,
        "IpcHost" ipc_host: bool,
        "PidHost" pid_host: bool,
        "Mounts" mounts: Vec<PluginMount>,
        "Env" env: Vec<PluginEnv>,
        "Args" args: PluginArgs,
        ? "rootfs" rootfs: Option<PluginRootfs>,
        ? "Wharf" wharf: PluginWharf,
    }
}

wire! {
    /// What a component may do, and how much of the host it may use.
    PluginWharf {
        "Permissions" permissions: Vec<String>,
        ? "Memory" memory: Option<u64>,
    }
}

wire! {
    /// How a plugin is spoken to.
    PluginInterface {
        "Types" types: Vec<String>,
        "Socket" socket: String,
        ? "ProtocolScheme" protocol_scheme: String,
    }
}

wire! {
    /// Who a plugin's process runs as.
    PluginUser {
        ? "UID" uid: u32,
        ? "GID" gid: u32,
    }
}

wire! {
    /// A plugin's network: `bridge`, `host`, `none`.
    PluginNetwork {
        "Type" kind: String,
    }
}

wire! {
    /// What a plugin's process may do.
    PluginLinux {
        "Capabilities" capabilities: Vec<String>,
        "AllowAllDevices" allow_all_devices: bool,
        "Devices" devices: Vec<PluginDevice>,
    }
}

wire! {
    /// A device of a plugin.
    PluginDevice {
        "Name" name: String,
        "Description" description: String,
        "Settable" settable: Option<Vec<String>>,
        "Path" path: Option<String>,
    }
}

wire! {
    /// A mount of a plugin.
    PluginMount {
        "Name" name: String,
        "Description" description: String,
        "Settable" settable: Option<Vec<String>>,
        "Source" source: Option<String>,
        "Destination" destination: String,
        "Type" kind: String,
        "Options" options: Vec<String>,
    }
}

wire! {
    /// A setting of a plugin.
    PluginEnv {
        "Name" name: String,
        "Description" description: String,
        "Settable" settable: Option<Vec<String>>,
        "Value" value: Option<String>,
    }
}

wire! {
    /// The arguments of a plugin.
    PluginArgs {
        "Name" name: String,
        "Description" description: String,
        "Settable" settable: Option<Vec<String>>,
        "Value" value: Option<Vec<String>>,
    }
}

wire! {
    /// The layers of a plugin.
    PluginRootfs {
        ? "type" kind: String,
        ? "diff_ids" diff_ids: Vec<String>,
    }
}

wire! {
    /// Something that a plugin may do and the operator agrees to.
    PluginPrivilege {
        "Name" name: String,
        "Description" description: String,
        "Value" value: Vec<String>,
    }
}

/// The settings by name, of `NAME=value`.
pub fn settings(env: &[String]) -> BTreeMap<&str, &str> {
    env.iter().filter_map(|e| e.split_once('=')).collect()
}
