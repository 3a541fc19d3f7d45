//! What wit-bindgen makes of what every plugin may import and must export. Names of a version appear only here and in the `bindings`
//! of the kinds.
//!
//! Each macro that exports something embeds a description of just that in the component, and the descriptions are merged when the
//! component is linked. What of the imports no code calls is left out then: it is not among the plugin's permissions.
#![allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]

wit_bindgen::generate!({
    path: [
        "../../wit/host/0.1.0", "../../wit/authz/0.1.0", "../../wit/logging/0.1.0", "../../wit/volume/0.1.0",
        "../../wit/metrics/0.1.0", "../../wit/ipam/0.1.0", "../../wit/plugin/0.1.0",
    ],
    inline: "
        package wharf:guest;
        world guest {
            include wharf:plugin/imports@0.1.0;
            export wharf:plugin/lifecycle@0.1.0;
        }",
    world: "wharf:guest/guest",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_lifecycle",
    default_bindings_module: "wharf_plugin::bindings",
});
