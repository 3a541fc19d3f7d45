//! `HostConfig.Mounts` and the mount points of inspect and list.

use std::collections::BTreeMap;

wire! {
    /// One entry of `HostConfig.Mounts`.
    Mount {
        "Type" kind: String,
        ? "Source" source: String,
        "Target" target: String,
        ? "ReadOnly" read_only: bool,
        ? "Consistency" consistency: String,
        ? "BindOptions" bind_options: Option<BindOptions>,
        ? "VolumeOptions" volume_options: Option<VolumeOptions>,
        ? "TmpfsOptions" tmpfs_options: Option<TmpfsOptions>,
        ? "ImageOptions" image_options: Option<ImageOptions>,
        ? "ClusterOptions" cluster_options: Option<serde_json::Value>,
    }
}
wire! {
    /// Options of a bind mount.
    BindOptions {
        ? "Propagation" propagation: String,
        ? "NonRecursive" non_recursive: bool,
        ? "CreateMountpoint" create_mountpoint: bool,
        ? "ReadOnlyNonRecursive" read_only_non_recursive: bool,
        ? "ReadOnlyForceRecursive" read_only_force_recursive: bool,
    }
}
wire! {
    /// Options of a volume mount.
    VolumeOptions {
        ? "NoCopy" no_copy: bool,
        ? "Labels" labels: BTreeMap<String, String>,
        ? "Subpath" subpath: String,
        ? "DriverConfig" driver_config: Option<VolumeDriverConfig>,
    }
}
wire! {
    /// The driver of a volume mount.
    VolumeDriverConfig {
        ? "Name" name: String,
        ? "Options" options: BTreeMap<String, String>,
    }
}
wire! {
    /// Options of a tmpfs mount.
    TmpfsOptions {
        ? "SizeBytes" size_bytes: i64,
        ? "Mode" mode: u32,
        ? "Options" options: Vec<Vec<String>>,
    }
}
wire! {
    /// Options of an image mount.
    ImageOptions {
        ? "Subpath" subpath: String,
    }
}
wire! {
    /// A mount as inspect and list show it.
    MountPoint {
        ? "Type" kind: String,
        ? "Name" name: String,
        "Source" source: String,
        "Destination" destination: String,
        ? "Driver" driver: String,
        "Mode" mode: String,
        "RW" rw: bool,
        "Propagation" propagation: String,
    }
}
