//! The same files and requests to Casbin itself: the answers must be the same.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use casbin_policy::{Matching, Policy, Source, Value};
use proptest::{prelude::*, sample::select};
use std::fmt::Write as _;

const SOME_ALLOW: &str = "some(where (p.eft == allow))";
const NO_DENY: &str = "!some(where (p.eft == deny))";
const BOTH: &str = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
const PRIORITY: &str = "priority(p.eft) || deny";

fn model(request: &str, rule: &str, roles: &[&str], effect: &str, matcher: &str) -> String {
    let roles = if roles.is_empty() { String::new() } else { format!("[role_definition]\n{}\n", roles.join("\n")) };
    format!(
        "[request_definition]\nr = {request}\n[policy_definition]\np = {rule}\n{roles}[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )
}

fn ours(model: &str, rules: &str) -> Policy {
    let (model, rules) = (Source { name: "model.conf", text: model }, Source { name: "policy.csv", text: rules });
    Policy::load(model, &[rules], &Matching::default()).unwrap()
}

fn theirs(model: &str, rules: &str) -> Enforcer {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let model = DefaultModel::from_str(model).await.unwrap();
        Enforcer::new(model, StringAdapter::new(rules)).await.unwrap()
    })
}

/// Asks both.
fn agree(model: &str, rules: &str, requests: impl IntoIterator<Item = Vec<String>>) {
    let (ours, theirs) = (ours(model, rules), theirs(model, rules));
    for request in requests {
        let values: Vec<Value> = request.iter().map(|t| Value::from(t.as_str())).collect();
        let decision = ours.judge(&values.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(decision.allowed, theirs.enforce(request.clone()).unwrap(), "{request:?} by {:?}\n{model}\n{rules}", decision.rule);
    }
}

fn all(fields: &[&[&str]]) -> Vec<Vec<String>> {
    fields.iter().fold(vec![Vec::new()], |done, choices| {
        done.iter().flat_map(|begin| choices.iter().map(|c| [begin.as_slice(), &[(*c).to_owned()]].concat())).collect()
    })
}

const SUB: &[&str] = &["alice", "bob", "cathy", "root", "data1_admin", ""];
const OBJ: &[&str] = &["data1", "data2", "data3", "/alice_data/resource1", "/alice_data2/123/using/456", ""];
const ACT: &[&str] = &["read", "write", "GET", "POST", ""];

#[test]
fn standard_models() {
    let basic = "r.sub == p.sub && r.obj == p.obj && r.act == p.act";
    let rbac = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";
    let acl = "p, alice, data1, read\np, bob, data2, write\n";
    let roles = "p, alice, data1, read\np, bob, data2, write\np, data2_admin, data2, read\np, data2_admin, data2, write\n\
                 g, alice, data2_admin\ng, cathy, alice\ng, data2_admin, data1_admin\ng, data1_admin, cathy\n";
    let resources = "p, alice, data1, read\np, bob, data2, write\np, data_group_admin, data_group, write\n\
                     g, alice, data_group_admin\ng2, data1, data_group\ng2, data2, data_group\n";
    let denies = "p, alice, data1, read, allow\np, bob, data2, write, allow\np, data2_admin, data2, read, allow\n\
                  p, data2_admin, data2, write, allow\np, alice, data2, write, deny\ng, alice, data2_admin\n";
    let priorities = "p, alice, data1, read, allow\np, data1_deny_group, data1, read, deny\np, data1_deny_group, data1, write, deny\n\
                      p, alice, data1, write, allow\np, bob, data2, read, indeterminate\np, bob, data2, read, deny\n\
                      g, alice, data1_deny_group\np, data2_allow_group, data2, read, allow\ng, bob, data2_allow_group\n";
    let keys = "p, alice, /alice_data/*, GET\np, alice, /alice_data/resource1, POST\np, bob, /alice_data/resource2, GET\n\
                p, cathy, /alice_data*, (GET)|(POST)\n";
    let keys2 = "p, alice, /alice_data/:resource, GET\np, alice, /alice_data2/:id/using/:resId, GET|POST\n";
    let keys3 = "p, alice, /alice_data/{resource}, GET\np, bob, /alice_data2/{id}/using/{resId}, GET\np, cathy, /alice_data2/{id}/using/{id}, GET\n";
    let (three, four) = ("sub, obj, act", "sub, obj, act, eft");
    let root = format!("{basic} || r.sub == \"root\"");
    let listed = format!("{rbac} || r.obj in [\"data2\", \"data3\"]");
    for (model, rules) in [
        (model(three, three, &[], SOME_ALLOW, basic), acl),
        (model(three, three, &[], SOME_ALLOW, "r.sub == \"root\""), ""),
        (model(three, three, &[], SOME_ALLOW, &root), acl),
        (model(three, three, &[], NO_DENY, basic), acl),
        (model(three, four, &[], NO_DENY, basic), "p, alice, data1, read, deny\np, bob, data2, write, allow\n"),
        (model(three, three, &["g = _, _"], SOME_ALLOW, rbac), roles),
        (model(three, three, &["g = _, _"], SOME_ALLOW, &listed), roles),
        (model(three, three, &["g = _, _"], SOME_ALLOW, "g(r.sub, p.sub) && r.obj == p.obj \\\n && r.act == p.act # all"), roles),
        (model(three, three, &["g = _, _", "g2 = _, _"], SOME_ALLOW, "g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act"), resources),
        (model(three, four, &["g = _, _"], BOTH, rbac), denies),
        (model(three, four, &["g = _, _"], NO_DENY, rbac), denies),
        (model(three, four, &["g = _, _"], PRIORITY, rbac), priorities),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)"), keys),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && keyMatch2(r.obj, p.obj) && regexMatch(r.act, p.act)"), keys2),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && keyMatch3(r.obj, p.obj) && r.act == p.act"), keys3),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && keyMatch4(r.obj, p.obj) && r.act == p.act"), keys3),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && keyMatch5(r.obj, p.obj) && r.act == p.act"), keys3),
        (model(three, three, &[], SOME_ALLOW, "r.sub == p.sub && globMatch(r.obj, p.obj) && regexMatch(r.act, p.act)"), keys),
    ] {
        agree(&model, rules, all(&[SUB, OBJ, ACT]));
    }
}

#[test]
fn other_requests() {
    agree(
        &model("sub, act", "sub, act", &[], SOME_ALLOW, "r.sub == p.sub && r.act == p.act"),
        "p, alice, read\np, bob, write\n",
        all(&[SUB, ACT]),
    );
    let domains = model(
        "sub, dom, obj, act",
        "sub, dom, obj, act",
        &["g = _, _, _"],
        SOME_ALLOW,
        "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act",
    );
    let rules = "p, admin, one, data1, read\np, admin, two, data2, write\np, reader, one, data2, read\n\
                 g, alice, admin, one\ng, bob, admin, two\ng, admin, reader, one\n";
    agree(&domains, rules, all(&[SUB, &["one", "two", "three"], OBJ, ACT]));
    let addresses = model("sub, obj", "sub, obj", &[], SOME_ALLOW, "ipMatch(r.sub, p.sub) && r.obj == p.obj");
    let from: &[&str] = &["192.168.2.1", "192.168.3.1", "10.1.1.1", "fe80::1"];
    agree(&addresses, "p, 192.168.2.0/24, data1\np, 10.0.0.0/8, data2\np, fe80::/10, data1\n", all(&[from, OBJ]));
}

#[test]
fn attributes() {
    #[derive(serde::Serialize, Hash, Clone)]
    struct Person {
        name: String,
        age: i64,
    }
    let text = model("sub, obj, act", "rule, obj, act", &[], SOME_ALLOW, "eval(p.rule) && r.obj == p.obj && r.act == p.act");
    let rules = "p, r.sub.age > 18 && r.sub.age < 60, data1, read\np, r.sub.name == \"alice\" || r.sub.age * 2 + 1 >= 121, data2, write\n";
    let (ours, theirs) = (ours(&text, rules), theirs(&text, rules));
    for (name, age) in [("alice", 16), ("alice", 30), ("bob", 60), ("bob", 59), ("bob", 18)] {
        for (obj, act) in [("data1", "read"), ("data2", "write"), ("data1", "write")] {
            let attributes = [("name".to_owned(), Value::from(name)), ("age".to_owned(), Value::from(f64::from(age)))];
            let sub = Value::Map(attributes.into_iter().collect());
            let person = Person { name: name.to_owned(), age: i64::from(age) };
            assert_eq!(
                ours.judge(&[&sub, &obj.into(), &act.into()]).unwrap().allowed,
                theirs.enforce((person, obj, act)).unwrap(),
                "{name} {age} {obj} {act}"
            );
        }
    }
}

/// A condition of the supported language over the fields a, b (texts) and n (a number), as text.
fn condition() -> impl Strategy<Value = String> {
    let text = select(&["r.a", "r.b", "p.a", "p.b", "'x1'", "\"y\"", "'x1' + r.b", "p.a + p.b"][..]).prop_map(|t| t.replace('\'', "\""));
    let number = select(&["r.n", "2", "r.n + 1", "r.n * 2 - 3", "-r.n", "(r.n + 1) * 2"][..]).prop_map(str::to_owned);
    let leaf = prop_oneof![
        4 => (text.clone(), select(&["==", "!=", "<", ">="][..]), text.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
        2 => (number.clone(), select(&["==", "!=", "<", "<=", ">", ">="][..]), number).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
        4 => select(&["r.a == p.a", "p.b == r.b", "g(r.a, p.a)", "g(r.b, p.b)", "g(p.a, r.b)", "r.b == \"x1\""][..]).prop_map(str::to_owned),
        2 => (select(&["keyMatch", "keyMatch2", "keyMatch3", "keyMatch5", "regexMatch", "globMatch"][..]), select(&["r.a", "r.b", "p.a"][..]), select(&["p.b", "\"x*\"", "\"x[0-9]\""][..]))
            .prop_map(|(f, k, p)| format!("{f}({k}, {p})")),
        1 => (text.clone(), text).prop_map(|(a, b)| format!("{a} in [{b}, \"x2\", \"z\"]")),
        1 => select(&["true", "false"][..]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            1 => inner.prop_map(|part| format!("!({part})")),
        ]
    })
}

fn matcher() -> impl Strategy<Value = String> {
    // Without brackets around, as matchers are written: what the index takes apart.
    prop::collection::vec(prop::collection::vec(condition(), 1..4).prop_map(|parts| parts.join(" && ")), 1..3)
        .prop_map(|parts| parts.join(" || "))
}

/// What a rule has in its second field: a word, or what is a pattern to every function.
fn pattern() -> impl Strategy<Value = &'static str> {
    prop_oneof![word(), select(&["x*", ".*", "^x", "^x1$", "^(x1|x2)$", "x|y", "[xy]", "x.*", "x?"][..])]
}

fn word() -> impl Strategy<Value = &'static str> {
    select(&["x1", "x2", "x3", "y", "z", "x"][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything(
        matcher in matcher(),
        effect in select(&[SOME_ALLOW, NO_DENY, BOTH, PRIORITY][..]),
        rules in prop::collection::vec((word(), pattern(), select(&["allow", "allow", "deny", "indeterminate"][..])), 1..12),
        roles in prop::collection::vec((word(), word()), 0..8),
        requests in prop::collection::vec((word(), word(), -3i32..6), 1..12),
    ) {
        let model = model("a, b, n", "a, b, eft", &["g = _, _"], effect, &matcher);
        let mut lines = String::new();
        for (at, (a, b, eft)) in rules.iter().enumerate() {
            // The crate moves a rule that comes again to the end; here the first one counts.
            if rules[..at].contains(&rules[at]) {
                continue;
            }
            writeln!(lines, "p, {a}, {b}, {eft}").unwrap();
        }
        for (a, b) in &roles {
            writeln!(lines, "g, {a}, {b}").unwrap();
        }
        let (ours, theirs) = (ours(&model, &lines), theirs(&model, &lines));
        for (a, b, n) in requests {
            let allowed = ours.judge(&[&a.into(), &b.into(), &f64::from(n).into()]).unwrap().allowed;
            prop_assert_eq!(allowed, theirs.enforce((a, b, i64::from(n))).unwrap(), "{} {} {}\n{}\n{}", a, b, n, model, lines);
        }
    }
}
