//! The objects of requests and lists, as authorizers see them.

use wharf_engine::containers::ContainerView;
use wharf_images::Image;
use wharf_spi::authz::{Object, ObjectKind};

/// A container as the object of a request, resolved.
pub fn container(cx: &crate::Cx, named: &str) -> Vec<Object> {
    let found = cx.containers.get(named).ok().map(|view| of_container(&view));
    vec![found.map_or_else(|| Object::named(ObjectKind::Container, named), |object| Object { named: named.to_owned(), ..object })]
}

/// A container in a list.
pub fn of_container(view: &ContainerView) -> Object {
    let mut object = Object::named(ObjectKind::Container, "");
    object.id = view.id().to_string();
    object.name = view.name().trim_start_matches('/').to_owned();
    object.image.clone_from(&view.spec.config.image);
    object.labels = view.spec.config.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    object
}

/// An image as the object of a request, resolved.
pub fn image(cx: &crate::Cx, named: &str) -> Vec<Object> {
    let found = cx.images.get(named).ok().map(|image| of_image(&image));
    vec![found.map_or_else(|| Object::named(ObjectKind::Image, named), |object| Object { named: named.to_owned(), ..object })]
}

/// An image in a list.
pub fn of_image(image: &Image) -> Object {
    let mut object = Object::named(ObjectKind::Image, "");
    object.id = image.id.to_string();
    object.name = image.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let labels = image.config.config.labels.iter().flatten();
    object.labels = labels.map(|(k, v)| (k.clone(), v.clone())).collect();
    object
}

/// An exec as the object of a request, and the container that it runs in.
pub fn exec(cx: &crate::Cx, named: &str) -> Vec<Object> {
    let mut object = Object::named(ObjectKind::Exec, named);
    let Ok(exec) = cx.execs.get(named) else { return vec![object] };
    let containers = container(cx, exec.container.as_str());
    object.id = exec.id.to_string();
    object.container = exec.container.to_string();
    if let Some(container) = containers.first() {
        object.image.clone_from(&container.image);
    }
    [vec![object], containers].concat()
}
