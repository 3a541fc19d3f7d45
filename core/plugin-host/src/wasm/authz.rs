//! A plugin as an [`Authorizer`]: our types as those of `wharf:authz` and back.

use super::{
    bindings::{authorizer as wit, authz::wharf::authz::types},
    context::{Cx, Shared},
    instance::{Instance, NoResult, Span, arm, call},
    pool::{Export, Pool, ask},
    statistics::Function,
};
use crate::words::cut;
use async_trait::async_trait;
use wasmtime::component::InstancePre;
use wharf_spi::authz::{Authorizer, AuthzRequest, Caller, Decision, Denial, Exposure, Interests, Object, ObjectKind, Patch, Verdict};
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::Result;

pub(super) struct Authz;

impl Export for Authz {
    const KIND: Kind = Kind::Authz;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Said = Interests;

    fn find(pre: &InstancePre<Cx>) -> wasmtime::Result<Self::Indices> {
        wit::GuestIndices::new(pre)
    }

    fn load(indices: &Self::Indices, instance: &mut Instance) -> wasmtime::Result<Self::Guest> {
        indices.load(&mut instance.store, &instance.raw)
    }

    async fn ask(guest: &Self::Guest, instance: &mut Instance, shared: &Shared) -> Result<Interests, NoResult> {
        let span = arm(&mut instance.store, Span::of(instance.deadline));
        let asked = async { guest.call_interests(&mut instance.store).await.map(Ok) };
        let wanted = call(shared, Function::Interests, span, asked).await?;
        Ok(Interests { input: wanted.input, filter: wanted.filter })
    }
}

#[async_trait]
impl Authorizer for Pool<Authz> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn interests(&self) -> Interests {
        self.said()
    }

    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        let line = [rq.http.method.as_str(), " ", &rq.http.uri].concat();
        let names = CallerParts::of(&rq.caller);
        let labels = labels(&rq.targets);
        let targets = objects(&rq.targets, &labels);
        let exposure = rq.exposure.as_ref().map(ExposureParts::of);
        let request = types::Request {
            action: rq.action.0,
            api_version: &rq.api_version,
            caller: names.wit(&rq.caller),
            targets: &targets,
            exposure: exposure.as_ref().map(ExposureParts::wit),
            input: &rq.input,
            line: &line,
        };
        ask!(self, Judge, call_judge(request), |answer, _| Ok(decision(answer)))
    }

    async fn filter(&self, caller: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        let names = CallerParts::of(caller);
        let labels = labels(objects);
        let list = self::objects(objects, &labels);
        ask!(self, Filter, call_filter(names.wit(caller), &list), |seen, _| match seen.len() {
            n if n == objects.len() => Ok(seen),
            n => Err(format!("it was asked about {} objects and answered about {n}", objects.len())),
        })
    }
}

// Records are lowered from slices of slices: what borrows our strings in that form lives here while a call is made.

struct CallerParts<'a> {
    alternative_names: Vec<&'a str>,
    labels: Vec<(&'a str, &'a str)>,
}

impl<'a> CallerParts<'a> {
    fn of(caller: &'a Caller) -> Self {
        Self {
            alternative_names: caller.tls.as_ref().map(|tls| strs(&tls.alternative_names)).unwrap_or_default(),
            labels: caller.container.as_ref().map(labels_of).unwrap_or_default(),
        }
    }

    fn wit(&'a self, caller: &'a Caller) -> types::Caller<'a> {
        types::Caller {
            process: caller.unix.as_ref().map(|peer| types::Process { uid: peer.uid, gid: peer.gid, groups: &peer.groups, pid: peer.pid }),
            certificate: caller
                .tls
                .as_ref()
                .map(|tls| types::Certificate { common_name: &tls.common_name, alternative_names: &self.alternative_names }),
            container: caller.container.as_ref().map(|container| object(container, &self.labels)),
        }
    }
}

struct ExposureParts<'a> {
    host_root: Vec<&'a str>,
    binds: Vec<types::Bind<'a>>,
    capabilities: Vec<&'a str>,
    ports: Vec<&'a str>,
}

impl<'a> ExposureParts<'a> {
    fn of(exposure: &'a Exposure) -> Self {
        Self {
            host_root: strs(&exposure.host_root),
            binds: exposure
                .binds
                .iter()
                .map(|bind| types::Bind { source: &bind.source, target: &bind.target, read_only: bind.read_only })
                .collect(),
            capabilities: strs(&exposure.capabilities),
            ports: strs(&exposure.ports),
        }
    }

    fn wit(&'a self) -> types::Exposure<'a> {
        types::Exposure { host_root: &self.host_root, binds: &self.binds, capabilities: &self.capabilities, ports: &self.ports }
    }
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn labels_of(object: &Object) -> Vec<(&str, &str)> {
    object.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn labels(objects: &[Object]) -> Vec<Vec<(&str, &str)>> {
    objects.iter().map(labels_of).collect()
}

fn objects<'a>(objects: &'a [Object], labels: &'a [Vec<(&'a str, &'a str)>]) -> Vec<types::Object<'a>> {
    objects.iter().zip(labels).map(|(of, labels)| object(of, labels)).collect()
}

fn object<'a>(object: &'a Object, labels: &'a [(&'a str, &'a str)]) -> types::Object<'a> {
    types::Object {
        kind: match object.kind {
            ObjectKind::Container => types::ObjectKind::Container,
            ObjectKind::Image => types::ObjectKind::Image,
            ObjectKind::Volume => types::ObjectKind::Volume,
            ObjectKind::Network => types::ObjectKind::Network,
            ObjectKind::Exec => types::ObjectKind::Exec,
            ObjectKind::Plugin => types::ObjectKind::Plugin,
        },
        named: &object.named,
        id: &object.id,
        name: &object.name,
        labels,
        image: &object.image,
        container: &object.container,
    }
}

fn decision(decision: wit::Decision) -> Decision {
    let patch = |patch| match patch {
        types::Patch::Label((key, value)) => Patch::Label(key, value),
        types::Patch::MemoryLimit(bytes) => Patch::MemoryLimit(bytes),
        types::Patch::PidsLimit(count) => Patch::PidsLimit(count),
        types::Patch::ReadOnlyRootfs => Patch::ReadOnlyRootfs,
        types::Patch::NoNewPrivileges => Patch::NoNewPrivileges,
        types::Patch::DropCapability(name) => Patch::DropCapability(name),
    };
    let verdict = match decision.verdict {
        types::Verdict::Allow => Verdict::Allow,
        types::Verdict::AllowWith(patches) => Verdict::AllowWith(patches.into_iter().map(patch).collect()),
        types::Verdict::Deny(denial) => Verdict::Deny(Denial { reason: cut(denial.reason), hide: denial.hide }),
    };
    Decision { verdict, rule: cut(decision.rule) }
}
