//! The objects of requests and lists, as authorizers see them.

use std::collections::BTreeSet;
use wharf_api_types::container::{ContainerCreate, HostConfig};
use wharf_engine::containers::ContainerView;
use wharf_images::Image;
use wharf_spi::authz::{Object, ObjectKind};
use wharf_types::Reference;

/// A container as the object of a request, resolved.
pub fn container(cx: &crate::Cx, named: &str) -> Vec<Object> {
    let found = cx.containers.get(named).ok().map(|view| of_container(&view));
    vec![found.map_or_else(|| Object::named(ObjectKind::Container, named), |object| Object { named: named.to_owned(), ..object })]
}

/// The name that a container is to get. Who has it already is its object, and not one whose id begins so.
pub fn container_name(cx: &crate::Cx, name: &str) -> Vec<Object> {
    let name = name.trim_start_matches('/');
    let exact = |object: Object| if object.name == name { object } else { Object::named(ObjectKind::Container, name) };
    container(cx, name).into_iter().map(exact).collect()
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

/// The containers with which one of this host configuration shares something: their namespaces and volumes.
pub fn shared_with(cx: &crate::Cx, host: &HostConfig) -> Vec<Object> {
    let joined = [&host.network_mode, &host.pid_mode, &host.ipc_mode].into_iter().filter_map(|mode| mode.strip_prefix("container:"));
    let volumes = host.volumes_from.iter().flatten().map(|from| from.split(':').next().unwrap_or(from));
    let links = host.links.iter().flatten().map(|link| link.split(':').next().unwrap_or(link));
    let others: BTreeSet<&str> = joined.chain(volumes).chain(links).collect();
    others.into_iter().flat_map(|other| container(cx, other)).collect()
}

/// A container that is to be made, after those that it shares something with.
pub fn new_container(cx: &crate::Cx, name: Option<&str>, body: &ContainerCreate) -> Vec<Object> {
    let mut objects = shared_with(cx, &body.host_config);
    let mut made = Object::named(ObjectKind::Container, name.unwrap_or_default().trim_start_matches('/'));
    made.image.clone_from(&body.config.image);
    // It gets the labels of its image, where it has no others.
    let mut labels = cx.images.get(&made.image).ok().and_then(|image| image.config.config.labels.clone()).unwrap_or_default();
    labels.extend(body.config.labels.iter().map(|(k, v)| (k.clone(), v.clone())));
    made.labels = labels.into_iter().collect();
    objects.push(made);
    objects
}

/// The name that an image is to get.
pub fn new_image(cx: &crate::Cx, name: &Reference) -> Object {
    of_name(name, cx.images.named(name).as_deref())
}

/// A name that an image is to get. The image that has it loses it, so that one is its object.
pub fn of_name(name: &Reference, holder: Option<&Image>) -> Object {
    let object = holder.map_or_else(|| Object::named(ObjectKind::Image, ""), of_image);
    Object { named: name.to_string(), ..object }
}

/// `name:tag`, or `name@digest`.
pub fn join(name: &str, tag: Option<&str>) -> String {
    match tag {
        Some(digest) if digest.contains(':') => format!("{name}@{digest}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_the_image_that_loses_it() {
        let holder = crate::testing::image(&["x:1", "y:1"]);
        let object = of_name(&"docker.io/library/x:1".parse().unwrap(), Some(&holder));
        assert_eq!((object.named.as_str(), object.name.as_str(), object.id), ("x:1", "x:1 y:1", holder.id.to_string()));
        let object = of_name(&"ab".parse().unwrap(), None);
        assert_eq!((object.named.as_str(), object.name.as_str(), object.id.as_str()), ("ab", "", ""));
    }

    #[test]
    fn names() {
        assert_eq!(join("a", Some("1")), "a:1");
        assert_eq!(join("a", Some("sha256:00")), "a@sha256:00");
        assert_eq!(join("a:1", None), "a:1");
    }
}
