//! The attributes that options add to every entry of a container's log.

use super::{LogOptions, TagContext};
use std::collections::BTreeMap;

/// The labels and variables (`NAME=value`) that the options name, and the tag. A variable wins over a label of the same name.
pub fn attributes(
    options: &LogOptions,
    labels: &BTreeMap<String, String>,
    env: &[String],
    names: &TagContext<'_>,
) -> BTreeMap<String, String> {
    let of = &options.attributes;
    let mut chosen = BTreeMap::new();
    for (name, value) in labels {
        if of.labels.contains(name) || of.labels_regex.as_ref().is_some_and(|r| r.is_match(name)) {
            chosen.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in env.iter().filter_map(|variable| variable.split_once('=')) {
        if of.env.iter().any(|e| e == name) || of.env_regex.as_ref().is_some_and(|r| r.is_match(name)) {
            chosen.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(tag) = of.tag.as_ref().map(|t| t.render(names)).filter(|t| !t.is_empty()) {
        chosen.insert("tag".to_owned(), tag);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::parse_options;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_the_options_name() {
        let names = TagContext { container_id: "c", container_name: "web", image_id: "i", image_name: "n", command: "x" };
        let labels = map(&[("a", "1"), ("ab", "2"), ("c", "3"), ("both", "label")]);
        let env = ["E=x=y".to_owned(), "F=2".to_owned(), "both=env".to_owned(), "nothing".to_owned()];
        let of = |options: &[(&str, &str)]| attributes(&parse_options("json-file", &map(options)).unwrap(), &labels, &env, &names);
        assert_eq!(of(&[]), map(&[]));
        assert_eq!(of(&[("labels", "a,c,zzz"), ("env", "E,nothing")]), map(&[("a", "1"), ("c", "3"), ("E", "x=y")]));
        assert_eq!(of(&[("labels-regex", "^a"), ("env-regex", "^F$")]), map(&[("a", "1"), ("ab", "2"), ("F", "2")]));
        assert_eq!(of(&[("labels", "both"), ("env", "both"), ("tag", "{{.Name}}")]), map(&[("both", "env"), ("tag", "web")]));
    }
}
