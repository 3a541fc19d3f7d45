//! Role based policies of Casbin's own benchmark: ten users for a role, one role for ten rules' worth of data. Beside it the casbin
//! crate with the same files and requests. And policies whose rules are all about the caller's role: patterns of objects, in the rules or
//! in the relations of a role definition.

#![allow(clippy::unwrap_used, missing_docs)]

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use casbin_policy::{Matching, Policy, Source, Value};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{fmt::Write as _, hint::black_box};

const RBAC: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[role_definition]\ng = _, _\n\
                    [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n";
const EQUAL: &str = "m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act\n";
const PATTERNS: &str = "m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)\n";
const OBJECT_ROLES: &str = "m = g(r.sub, p.sub) && g2(r.obj, p.obj) && regexMatch(r.act, p.act)\n";

fn rules(count: usize, obj: &str, act: &str) -> String {
    let mut text = String::new();
    for i in 0..count {
        writeln!(text, "p, group{i}, data{}{obj}, {act}", i / 10).unwrap();
    }
    for i in 0..count * 10 {
        writeln!(text, "g, user{i}, group{}", i / 10).unwrap();
    }
    text
}

/// All of the rules are about one role. The last one decides.
fn one_role(count: usize) -> String {
    let mut text = String::from("g, alice, team\n");
    for i in 1..=count {
        writeln!(text, "p, team, project{i}-*, ^(read|write)$").unwrap();
    }
    text
}

/// The same with a role for the objects of a project.
fn object_roles(count: usize) -> String {
    let mut text = String::from("g, alice, team\n");
    for i in 1..=count {
        writeln!(text, "p, team, project{i}, ^(read|write)$\ng2, project{i}-*, project{i}").unwrap();
    }
    text
}

fn ours(c: &mut Criterion, name: &str, model: &str, rules: &str, request: [&str; 3], matching: &Matching) {
    let (model, rules) = (Source { name: "m", text: model }, Source { name: "p", text: rules });
    let policy = Policy::load(model, &[rules], matching).unwrap();
    let request = request.map(Value::from);
    let request = request.each_ref();
    assert!(policy.judge(&request).unwrap().allowed);
    c.bench_function(name, |b| b.iter(|| policy.judge(black_box(&request)).unwrap().allowed));
}

fn theirs(c: &mut Criterion, name: &str, model: &str, rules: &str, request: [&str; 3]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let enforcer = runtime.block_on(async {
        let model = DefaultModel::from_str(model).await.unwrap();
        Enforcer::new(model, StringAdapter::new(rules)).await.unwrap()
    });
    let [sub, obj, act] = request;
    assert!(enforcer.enforce((sub, obj, act)).unwrap());
    c.bench_function(name, |b| b.iter(|| enforcer.enforce(black_box((sub, obj, act))).unwrap()));
}

fn enforce(c: &mut Criterion) {
    let literal = Matching::default();
    let matching = Matching { roles: vec![("g2".to_owned(), "keyMatch".to_owned())], domains: Vec::new() };
    for count in [1_000, 10_000] {
        let (user, data) = (format!("user{}", count * 5 + 1), format!("data{}", count / 20));
        let request = [user.as_str(), data.as_str(), "read"];
        let equal = (format!("{RBAC}{EQUAL}"), rules(count, "", "read"));
        ours(c, &format!("rbac/{count}"), &equal.0, &equal.1, request, &literal);
        theirs(c, &format!("rbac/{count}/casbin"), &equal.0, &equal.1, request);
        let patterns = (format!("{RBAC}{PATTERNS}"), rules(count, "*", "(read)|(write)"));
        ours(c, &format!("patterns/{count}"), &patterns.0, &patterns.1, request, &literal);
        let object = format!("project{count}-web");
        let request = ["alice", object.as_str(), "read"];
        ours(c, &format!("one-role/{count}"), &patterns.0, &one_role(count), request, &literal);
        let model = format!("{}{OBJECT_ROLES}", RBAC.replace("g = _, _\n", "g = _, _\ng2 = _, _\n"));
        ours(c, &format!("object-roles/{count}"), &model, &object_roles(count), request, &matching);
    }
    let text = rules(10_000, "*", "(read)|(write)");
    let model = format!("{RBAC}{PATTERNS}");
    c.bench_function("load/10000", |b| {
        let (model, rules) = (Source { name: "m", text: &model }, Source { name: "p", text: &text });
        b.iter(|| Policy::load(model, &[rules], &Matching::default()).unwrap().len());
    });
}

criterion_group!(benches, enforce);
criterion_main!(benches);
