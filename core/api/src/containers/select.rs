//! Which containers a list shows.

use super::networks;
use crate::{
    authz,
    filters::{Filters, invalid_value},
};
use regex::Regex;
use std::collections::BTreeSet;
use wharf_engine::{
    Containers, Images,
    containers::{ContainerView, Status},
};
use wharf_spi::authz::{Object, ObjectKind};
use wharf_types::{ContainerId, Digest, Error, Result};

/// The keys of `filters`.
pub const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Filters, checked and with their names resolved.
pub struct Selection {
    filters: Filters,
    names: Vec<Regex>,
    exited: Vec<i32>,
    expose: Vec<(u16, u16, String)>,
    publish: Vec<(u16, u16, String)>,
    ancestors: Option<BTreeSet<Digest>>,
    before: Option<ContainerId>,
    since: Option<ContainerId>,
    /// The id of the default network.
    bridge: Option<String>,
    tasks_only: bool,
    stopped_too: bool,
}

impl Selection {
    /// Checks values and looks names up; `seen` are the containers that there are for the caller.
    ///
    /// # Errors
    /// 400 for a bad value; 404 for an unknown container in `before` or `since`.
    pub fn resolve(filters: Filters, all: bool, seen: &[ContainerView], containers: &Containers, images: &Images) -> Result<Self> {
        let find = |name: &String| {
            let found = containers.get(name)?.id().clone();
            let is_seen = seen.iter().any(|c| *c.id() == found);
            if is_seen { Ok(found) } else { Err(authz::absent(&Object::named(ObjectKind::Container, name))) }
        };
        let container = |key: &str| filters.get(key).first().map(find).transpose();
        let ancestor = |name: &String| images.get(name).ok().map(|i| i.id.clone());
        let (before, since) = (container("before")?, container("since")?);
        let ancestors = filters.has("ancestor").then(|| filters.get("ancestor").iter().filter_map(ancestor).collect());
        let bridge = containers.bridge_id().map(str::to_owned);
        Self::checked(filters, all).map(|s| Self { before, since, ancestors, bridge, ..s })
    }

    fn checked(filters: Filters, all: bool) -> Result<Self> {
        words(&filters, "status", &STATES, "state")?;
        words(&filters, "health", &HEALTH, "health")?;
        let exited = filters.get("exited").iter().map(|v| v.parse().map_err(|_| invalid_value("exited", v)));
        let ports = |key: &str| {
            let read = |v: &String| networks::parse_port(v).map(|(a, b, p)| (a, b, p.to_owned())).ok_or_else(|| invalid_value(key, v));
            filters.get(key).iter().map(read).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            // What is no regular expression matches nothing but itself.
            names: filters.get("name").iter().filter_map(|n| Regex::new(n).ok()).collect(),
            exited: exited.collect::<Result<_>>()?,
            expose: ports("expose")?,
            publish: ports("publish")?,
            ancestors: None,
            before: None,
            since: None,
            bridge: None,
            tasks_only: filters.flag("is-task")?.unwrap_or(false),
            stopped_too: all || ["status", "before", "since"].into_iter().any(|k| filters.has(k)),
            filters,
        })
    }

    /// Applies the selection to all containers, newest first.
    pub fn apply(&self, all: Vec<ContainerView>, limit: Option<usize>) -> Vec<ContainerView> {
        let skipped = |c: &ContainerView| self.before.as_ref().is_some_and(|id| c.id() != id);
        let from = all.into_iter().skip_while(skipped).skip(usize::from(self.before.is_some()));
        let to = from.take_while(|c| self.since.as_ref() != Some(c.id()));
        to.filter(|c| (self.stopped_too || limit.is_some() || c.state.running) && self.matches(c))
            .take(limit.unwrap_or(usize::MAX))
            .collect()
    }

    fn matches(&self, c: &ContainerView) -> bool {
        let (f, config) = (&self.filters, &c.spec.config);
        let health = f.exact("health", c.state.health_word());
        let exited = self.exited.is_empty() || c.state.status() == Status::Exited && self.exited.contains(&c.state.exit_code);
        !self.tasks_only
            && health
            && exited
            && self.name(c.name())
            && f.prefix("id", c.id().as_str())
            && f.labels("label", &config.labels)
            && f.exact("isolation", &c.spec.host_config.isolation)
            && f.exact("status", c.state.status().as_str())
            && (!f.has("volume") || c.spec.mounts.iter().any(|m| f.exact("volume", &m.name) || f.exact("volume", &m.destination)))
            && self.ancestors.as_ref().is_none_or(|ids| ids.contains(&c.spec.image))
            && (!f.has("network")
                || networks::endpoints(c, self.bridge.as_deref()).iter().any(|(name, e)| self.network(name, &e.network_id)))
            && has_port(&self.expose, config.exposed_ports.keys())
            && has_port(&self.publish, c.spec.host_config.port_bindings.keys())
    }

    fn name(&self, name: &str) -> bool {
        let slashed = format!("/{name}");
        let plain = self.filters.get("name").iter().any(|n| n == name || *n == slashed);
        !self.filters.has("name") || plain || self.names.iter().any(|r| r.is_match(name) || r.is_match(&slashed))
    }

    fn network(&self, name: &str, id: &str) -> bool {
        self.filters.get("network").iter().any(|wanted| wanted == name || !id.is_empty() && id.starts_with(wanted.as_str()))
    }
}

fn words(filters: &Filters, key: &str, known: &[&str], noun: &str) -> Result<()> {
    match filters.get(key).iter().find(|v| !known.contains(&v.as_str())) {
        None => Ok(()),
        Some(bad) => {
            let known = known.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
            Err(Error::invalid(format!("invalid filter '{key}={bad}': invalid value for {noun} ({bad}): must be one of {known}")))
        }
    }
}

fn has_port<'a>(wanted: &[(u16, u16, String)], mut ports: impl Iterator<Item = &'a String>) -> bool {
    let is_wanted = |port: &String| {
        let Some((port, _, protocol)) = networks::parse_port(port) else { return false };
        wanted.iter().any(|(first, last, p)| (*first..=*last).contains(&port) && p == protocol)
    };
    wanted.is_empty() || ports.any(is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named, running, view};

    fn select(filters: &str, c: &ContainerView) -> bool {
        !Selection::checked(Filters::parse(filters).unwrap(), true).unwrap().apply(vec![c.clone()], None).is_empty()
    }

    #[test]
    fn single_filters() {
        let c = running();
        for yes in [
            r#"{"name":["^/web$"]}"#,
            r#"{"name":["we"]}"#,
            r#"{"name":["no","^web"]}"#,
            r#"{"id":["aaaa"]}"#,
            r#"{"label":["tier=front"]}"#,
            r#"{"status":["exited","running"]}"#,
            r#"{"health":["none"]}"#,
            r#"{"network":["bridge"]}"#,
            r#"{"network":["bbbb"]}"#,
            r#"{"expose":["80"]}"#,
            r#"{"expose":["70-90/tcp"]}"#,
            r#"{"volume":["/data"]}"#,
            r#"{"is-task":["false"]}"#,
        ] {
            assert!(select(yes, &c), "{yes}");
        }
        for no in [
            r#"{"name":["^eb"]}"#,
            r#"{"name":["["]}"#,
            r#"{"id":["a1"]}"#,
            r#"{"label":["tier"],"status":["created"]}"#,
            r#"{"exited":["0"]}"#,
            r#"{"health":["healthy"]}"#,
            r#"{"network":["host"]}"#,
            r#"{"expose":["81"]}"#,
            r#"{"publish":["80"]}"#,
            r#"{"is-task":["1"]}"#,
            r#"{"isolation":["hyperv"]}"#,
        ] {
            assert!(!select(no, &c), "{no}");
        }
    }

    #[test]
    fn bad_values_are_named() {
        let message = |f: &str| Selection::checked(Filters::parse(f).unwrap(), true).err().unwrap().message().to_owned();
        assert!(
            message(r#"{"status":["up"]}"#)
                .starts_with("invalid filter 'status=up': invalid value for state (up): must be one of \"created\"")
        );
        assert_eq!(message(r#"{"exited":["x"]}"#), "invalid filter 'exited=[x]'");
        assert_eq!(message(r#"{"publish":["0.0.0.0:80"]}"#), "invalid filter 'publish=[0.0.0.0:80]'");
    }

    #[test]
    fn windows_and_limits() {
        let all: Vec<_> = ["c4", "c3", "c2", "c1"].map(named).to_vec();
        let names = |s: &Selection, limit| s.apply(all.clone(), limit).iter().map(|c| c.name().to_owned()).collect::<Vec<_>>();
        let plain = Selection::checked(Filters::default(), false).unwrap();
        assert!(names(&plain, None).is_empty(), "created containers are not shown by default");
        assert_eq!(names(&plain, Some(1)), ["c4"]);
        let id = |i: usize| Some(all[i].id().clone());
        let before = Selection { before: id(1), ..Selection::checked(Filters::default(), true).unwrap() };
        assert_eq!(names(&before, None), ["c2", "c1"]);
        let both = Selection { before: id(0), since: id(3), ..before };
        assert_eq!(names(&both, None), ["c3", "c2"]);
        assert_eq!(view().state.status(), Status::Created);
    }
}
