//! What `bindgen!` makes of the WIT packages in `wit/`. Only here do the names of the generated code appear with their versions.
//!
//! Each world below is a part of one in `wharf:plugin`: what every plugin may import and must export, and what each kind adds.
#![allow(missing_docs)] // generated

/// What every plugin may import, and the life cycle that it exports.
pub mod every {
    wasmtime::component::bindgen!({
        path: ["../../wit/host/0.1.0", "../../wit/authz/0.1.0", "../../wit/logging/0.1.0", "../../wit/volume/0.1.0",
               "../../wit/metrics/0.1.0", "../../wit/ipam/0.1.0", "../../wit/plugin/0.1.0"],
        inline: "
            package wharf:engine;
            world every {
                import wharf:host/config@0.1.0;
                import wharf:host/log@0.1.0;
                import wharf:host/clock@0.1.0;
                import wharf:host/random@0.1.0;
                import wharf:host/state@0.1.0;
                import wharf:host/files@0.1.0;
                import wharf:host/metrics@0.1.0;
                import wharf:host/timers@0.1.0;
                import wharf:host/secrets@0.1.0;
                import wharf:host/http@0.1.0;
                import wharf:host/sockets@0.1.0;
                import wharf:host/objects@0.1.0;
                import wharf:host/events@0.1.0;
                export wharf:plugin/lifecycle@0.1.0;
            }",
        world: "wharf:engine/every",
        imports: {
            "wharf:host/random": trappable,
            "wharf:host/state": async,
            "wharf:host/files": async,
            "wharf:host/timers": async,
            "wharf:host/secrets": async | trappable,
            "wharf:host/http": async | trappable,
            "wharf:host/sockets": async | trappable,
            "wharf:host/objects": async,
        },
        with: {
            "wharf:host/secrets.secret": crate::wasm::secrets::Secret,
            "wharf:host/sockets.connection": crate::wasm::host::sockets::Connection,
        },
        exports: { default: async },
    });
}

/// What an authorization plugin exports.
pub mod authz {
    wasmtime::component::bindgen!({
        path: ["../../wit/host/0.1.0", "../../wit/authz/0.1.0"],
        inline: "
            package wharf:engine;
            world authz { export wharf:authz/authorizer@0.1.0; }",
        world: "wharf:engine/authz",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
    });
}

/// What log drivers and transformations of logs export.
pub mod logging {
    wasmtime::component::bindgen!({
        path: ["../../wit/logging/0.1.0"],
        inline: "
            package wharf:engine;
            world logging {
                export wharf:logging/driver@0.1.0;
                export wharf:logging/transform@0.1.0;
            }",
        world: "wharf:engine/logging",
        exports: { default: async },
    });
}

/// What a volume driver exports.
pub mod volume {
    wasmtime::component::bindgen!({
        path: ["../../wit/host/0.1.0", "../../wit/volume/0.1.0"],
        inline: "
            package wharf:engine;
            world volume { export wharf:volume/driver@0.1.0; }",
        world: "wharf:engine/volume",
        with: { "wharf:host/secrets": crate::wasm::bindings::every::wharf::host::secrets },
        exports: { default: async },
    });
}

/// What a metrics sink exports.
pub mod metrics {
    wasmtime::component::bindgen!({
        path: ["../../wit/metrics/0.1.0"],
        inline: "
            package wharf:engine;
            world metrics { export wharf:metrics/sink@0.1.0; }",
        world: "wharf:engine/metrics",
        exports: { default: async },
    });
}

/// What an IPAM driver exports.
pub mod ipam {
    wasmtime::component::bindgen!({
        path: ["../../wit/ipam/0.1.0"],
        inline: "
            package wharf:engine;
            world ipam { export wharf:ipam/driver@0.1.0; }",
        world: "wharf:engine/ipam",
        exports: { default: async },
    });
}

pub use authz::exports::wharf::authz::authorizer;
pub use every::{exports::wharf::plugin::lifecycle, wharf::host};
pub use ipam::exports::wharf::ipam::driver as ipam_driver;
pub use logging::exports::wharf::logging::{driver as log_driver, transform as log_transform};
pub use metrics::exports::wharf::metrics::sink as metrics_sink;
pub use volume::exports::wharf::volume::driver as volume_driver;
