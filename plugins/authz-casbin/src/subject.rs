//! Who asks, as policies name it.

use crate::{object, settings::Settings};
use casbin_policy::Value;
use std::collections::BTreeMap;
use wharf_plugin::authz::Caller;

/// The names of a caller, the best known first; at least one. Each has all attributes.
pub fn subjects(caller: &Caller, settings: &Settings) -> Vec<Value> {
    let mut names = Vec::new();
    let mut attributes = BTreeMap::new();
    let named = |of: &BTreeMap<String, u32>, id: u32| of.iter().filter(|(_, i)| **i == id).map(|(n, _)| n.clone()).collect::<Vec<_>>();

    if let Some(certificate) = &caller.certificate {
        names.push(format!("cert:{}", certificate.common_name));
        names.extend(certificate.alternative_names.iter().map(|name| format!("san:{name}")));
        attributes.insert("cert".to_owned(), certificate.common_name.as_str().into());
        attributes.insert("sans".to_owned(), certificate.alternative_names.iter().map(String::as_str).collect());
    }
    if let Some(process) = &caller.process {
        names.extend(named(&settings.users, process.uid).iter().map(|name| format!("user:{name}")));
        names.push(format!("uid:{}", process.uid));
        // The primary group is among the others sometimes.
        let mut groups = vec![process.gid];
        groups.extend(process.groups.iter().filter(|group| **group != process.gid));
        for group in &groups {
            names.extend(named(&settings.groups, *group).iter().map(|name| format!("group:{name}")));
            names.push(format!("gid:{group}"));
        }
        // Texts, as all that rules have to compare them with.
        attributes.insert("uid".to_owned(), process.uid.to_string().into());
        attributes.insert("gid".to_owned(), process.gid.to_string().into());
        attributes.insert("groups".to_owned(), groups.iter().map(ToString::to_string).collect());
    }
    if let Some(container) = &caller.container {
        let of_object = object::of_object(container, settings).names;
        names.extend(of_object.iter().filter_map(|name| if let Value::Named(name, _) = name { Some(name.clone()) } else { None }));
        if !container.id.is_empty() {
            names.push(format!("container:{}", container.id));
        }
    }
    let container = caller.container.as_ref().map(|c| if c.id.is_empty() { &c.named } else { &c.name });
    attributes.insert("container".to_owned(), container.map_or(Value::Null, |name| name.as_str().into()));
    if names.is_empty() {
        names.push("anonymous".to_owned());
    }
    if let Some(best) = names.first() {
        attributes.insert("name".to_owned(), best.as_str().into());
    }
    attributes.insert("names".to_owned(), names.iter().map(String::as_str).collect());
    names.into_iter().map(|name| Value::Named(name, attributes.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_plugin::authz::{Certificate, Object, ObjectKind, Process};

    fn names(caller: &Caller, settings: &Settings) -> Vec<String> {
        let name = |value| if let Value::Named(name, _) = value { name } else { panic!("{value:?}") };
        subjects(caller, settings).into_iter().map(name).collect()
    }

    #[test]
    fn names_of_callers() {
        let settings = Settings {
            users: [("alice".to_owned(), 1000)].into(),
            groups: [("docker".to_owned(), 998)].into(),
            labels: vec!["team".to_owned()],
            ..Settings::default()
        };
        let process = Process { uid: 1000, gid: 100, groups: vec![100, 998], pid: 1 };
        let mut caller = Caller { process: Some(process), certificate: None, container: None };
        assert_eq!(names(&caller, &settings), ["user:alice", "uid:1000", "gid:100", "group:docker", "gid:998"]);
        caller.process = None;
        caller.container = Some(Object {
            kind: ObjectKind::Container,
            named: String::new(),
            id: "c0ffee".to_owned(),
            name: "ci".to_owned(),
            labels: vec![("team".to_owned(), "dev".to_owned())],
            image: "runner:1".to_owned(),
            container: String::new(),
        });
        assert_eq!(names(&caller, &settings), ["container:ci", "container/image:runner:1", "container/label:team=dev", "container:c0ffee"]);
        caller.container = None;
        assert_eq!(names(&caller, &settings), ["anonymous"]);
        caller.certificate = Some(Certificate { common_name: "ci".to_owned(), alternative_names: vec!["ci.test".to_owned()] });
        assert_eq!(names(&caller, &settings), ["cert:ci", "san:ci.test"]);
    }
}
