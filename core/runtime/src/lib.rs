//! What a container is made of below the engine: its OCI spec, and the monitor that runs it.
//!
//! [`spec`] computes the specification of a container from its configuration; [`task`] launches a monitor with it and talks to
//! the monitor afterwards. Nothing here knows of images, networks or the API.

pub mod mountinfo;
pub mod spec;
pub mod task;
