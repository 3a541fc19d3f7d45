//! The differences that are meant.

use super::shape::matches;

/// One difference, and why it is meant.
#[derive(Debug)]
pub struct Difference {
    /// Pattern of `LABEL VERSION`.
    asked: &'static str,
    /// Pattern of the path.
    path: &'static str,
    /// Which side has it.
    kind: Kind,
    /// Why.
    #[allow(dead_code, reason = "read by people, and printed when the difference is gone")]
    why: &'static str,
}

#[derive(Debug, PartialEq)]
enum Kind {
    /// Only here.
    Added,
    /// Only in dockerd.
    Absent,
    /// Both have it, with another value.
    Value,
    /// Any of these.
    Any,
}

impl Difference {
    /// Whether this is the difference found.
    pub fn covers(&self, asked: &str, path: &str, pair: (Option<&String>, Option<&String>)) -> bool {
        let kind = match pair {
            (None, _) => Kind::Added,
            (_, None) => Kind::Absent,
            _ => Kind::Value,
        };
        (self.kind == Kind::Any || self.kind == kind) && matches(self.asked, asked) && matches(self.path, path)
    }
}

const fn differs(kind: Kind, asked: &'static str, path: &'static str, why: &'static str) -> Difference {
    Difference { asked, path, kind, why }
}

use Kind::{Absent, Added, Any, Value};

/// The table.
pub const DIFFERENCES: &[Difference] = &[
    // What this is.
    differs(
        Value,
        "version *",
        "*Version*",
        "another product with a version of its own, which speaks more API versions; there is no Go here",
    ),
    differs(Value, "version *", "*GitCommit", "built from another repository"),
    differs(Value, "version *", "*BuildTime", "built at another time, which an ordinary build does not record"),
    differs(Value, "version *", ".Platform.Name", "the product's name"),
    differs(Absent, "version *", ".Components[*", "there is no containerd, runc or docker-init to tell the version of"),
    differs(Value, "info *", ".ServerVersion", "the product's version"),
    differs(Value, "info *", ".InitBinary", "the init is built in"),
    differs(Value, "info *", ".ContainerdCommit.*", "there is no containerd"),
    differs(Value, "info *", ".RuncCommit.*", "runc is not what runs containers by default"),
    differs(Value, "info *", ".DefaultRuntime", "the runtime is built in"),
    differs(Any, "info *", ".Runtimes.*", "the runtime is built in; runc stands where it was found"),
    differs(Any, "inspect *", ".HostConfig.Runtime", "the runtime is built in, and always named"),
    differs(Any, "info *", ".Plugins.*", "log and network drivers that are not there yet"),
    differs(Any, "info *", ".DriverStatus[*", "metacopy is a line of newer engines"),
    // What newer engines have.
    differs(Added, "info *", ".CDISpecDirs", "since 24"),
    differs(Value, "info *", ".SecurityOptions[*", "the default seccomp profile is called builtin since 23"),
    differs(Value, "info *", ".BridgeNf*", "no bridge filter is asked of the host; false since 28"),
    differs(Any, "info *", ".RegistryConfig.InsecureRegistryCIDRs[*", "with IPv6's loopback since 28"),
    differs(Value, "info *", ".RegistryConfig.AllowNondistributableArtifacts*", "null since the option went with 27"),
    differs(Value, "info *", ".KernelMemory*", "no kernel since 5.16 has this limit, whatever its files say"),
    differs(Any, "info *", ".Warnings*", "the weight of block devices is missed aloud since 23"),
    differs(Value, "*df *", ".BuildCache", "[] since 23"),
    differs(Absent, "wait *", ".Error", "left out when there is none since 23"),
    differs(Value, "update *", ".Warnings", "[] since 23"),
    differs(Any, "inspect *", ".HostConfig.MaskedPaths[*", "more since 27, in alphabetical order"),
    differs(Value, "inspect *", ".HostConfig.NetworkMode", "default is resolved to bridge since 26"),
    differs(Value, "list *", "*.HostConfig.NetworkMode", "default is resolved to bridge since 26"),
    differs(Value, "inspect *", ".HostConfig.RestartPolicy.Name", "no policy is called no since 25"),
    differs(Value, "inspect *", ".HostConfig.PortBindings", "{} since 25"),
    differs(Value, "inspect minimal-1.*", ".HostConfig.IpcMode", "old clients share also when they send no HostConfig since 25"),
    differs(Value, "inspect created full *", ".HostConfig.ConsoleSize[*", "ignored below API 1.42 since 23"),
    differs(Added, "inspect *", ".HostConfig.Mounts[*].BindOptions.ReadOnlyNonRecursive", "what old clients mean, said aloud since 25"),
    differs(Added, "*", "*.Networks.*.DNSNames", "since 25"),
    differs(Added, "*", "*.Networks.*.GwPriority", "since 28"),
    differs(Value, "inspect *", ".NetworkSettings.Sandbox*", "forgotten with the sandbox since 25; named by the container's id"),
    differs(Value, "images*", "*.RepoDigests", "[] since 25"),
    differs(Value, "*df *", "*.RepoDigests", "[] since 25"),
    differs(Added, "events of a container *", "*.execDuration", "since 23"),
    differs(Added, "stats*", ".memory_stats.stats.*", "all that the kernel counts"),
    differs(Any, "image committed:1 *", ".ContainerConfig.*", "the container's own configuration is no part of an image since 25"),
    differs(
        Absent,
        "image *",
        ".GraphDriver.Data.*",
        "a layer of an image is never mounted by itself: it has no work and merged directory",
    ),
    // What is said.
    differs(Value, "*", ".message", "texts of newer engines; the exact ones are in api_raw"),
    differs(Value, "* 1.19", "body", "texts of newer engines; the exact ones are in api_raw"),
    differs(Value, "* 1.20", "body", "texts of newer engines; the exact ones are in api_raw"),
    differs(Value, "inspect unstartable *", ".State.Error", "texts of newer engines"),
    differs(Value, "create type *", "status", "a body of the wrong type is the client's fault since 23"),
    differs(Value, "list by a bad *", "status", "a filter that cannot be is the client's fault since 23"),
    differs(Value, "logs *", "content-type", "named since 23"),
    // What is not there yet.
    differs(Value, "*", "*.Networks.none.*ID", "none and host are no objects with ids yet"),
    differs(Value, "*", "*.Networks.host.*ID", "none and host are no objects with ids yet"),
    // What was given up.
    differs(Value, "inspect created empties *", ".Config.OnBuild", "an empty list of instructions is none"),
];
