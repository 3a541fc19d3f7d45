//! What is told of a policy besides yes and no: the rule that decided, and mistakes with their lines.
#![allow(clippy::unwrap_used, missing_docs)]

use casbin_policy::{Matching, Policy, Source, Value};
use proptest::{prelude::*, sample::select};

fn model(request: &str, rule: &str, roles: &str, effect: &str, matcher: &str) -> String {
    format!(
        "[request_definition]\nr = {request}\n[policy_definition]\np = {rule}\n[role_definition]\n{roles}\n\
         [policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )
}

const ALLOW: &str = "some(where (p.eft == allow))";
const RBAC: &str = "g(r.sub, p.sub) && keyMatch(r.obj, p.obj)";

fn load(model: &str, rules: &str, matching: &Matching) -> Result<Policy, String> {
    let (model, rules) = (Source { name: "model.conf", text: model }, Source { name: "policy.csv", text: rules });
    Policy::load(model, &[rules], matching).map_err(|e| e.to_string())
}

fn judge(policy: &Policy, request: &[&str]) -> (bool, Option<usize>) {
    let values: Vec<Value> = request.iter().map(|t| Value::from(*t)).collect();
    let decision = policy.judge(&values.iter().collect::<Vec<_>>()).unwrap();
    (decision.allowed, decision.rule.map(casbin_policy::Rule::line))
}

#[test]
fn the_rule_that_decided() {
    let both = format!("{ALLOW} && !some(where (p.eft == deny))");
    let text = model("sub, obj", "sub, obj, eft", "g = _, _", &both, RBAC);
    let rules = "# rules\np, dev, web-*, allow\np, alice, web-1, deny\n\np, all, *, allow\ng, alice, dev\ng, bob, dev\ng, dev, all\n";
    let policy = load(&text, rules, &Matching::default()).unwrap();
    assert_eq!(judge(&policy, &["bob", "web-1"]), (true, Some(2)));
    assert_eq!(judge(&policy, &["alice", "web-1"]), (false, Some(3)));
    assert_eq!(judge(&policy, &["alice", "db"]), (true, Some(5)));
    assert_eq!(judge(&policy, &["eve", "db"]), (false, None));
    let values = [Value::from("bob"), Value::from("web-2")];
    let decision = policy.judge(&values.each_ref()).unwrap();
    assert_eq!(decision.rule.unwrap().to_string(), "policy.csv:2: p, dev, web-*, allow");
}

#[test]
fn priorities_in_a_column() {
    let text = model("sub, obj", "priority, sub, obj, eft", "g = _, _", "priority(p.eft) || deny", RBAC);
    let rules = "p, 10, dev, *, allow\np, 1, dev, secret, deny\np, -5, root, *, allow\ng, alice, dev\ng, alice, root\ng, bob, dev\n";
    let policy = load(&text, rules, &Matching::default()).unwrap();
    assert_eq!(judge(&policy, &["bob", "secret"]), (false, Some(2)));
    assert_eq!(judge(&policy, &["bob", "other"]), (true, Some(1)));
    assert_eq!(judge(&policy, &["alice", "secret"]), (true, Some(3)));
    let mistake = load(&text, "p, high, dev, *, allow", &Matching::default()).unwrap_err();
    assert_eq!(mistake, "policy.csv:1: the priority `high` is no whole number");
}

#[test]
fn names_of_roles_that_are_patterns() {
    let pair = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
    let text = model("sub, obj", "sub, obj", "g = _, _\ng2 = _, _", ALLOW, "g(r.sub, p.sub) && g2(r.obj, p.obj)");
    let rules = "p, alice, book_group\np, admins, pen_group\ng, /user/:id, admins\ng2, /book/:id, book_group\ng2, /pen/:id, pen_group\n";
    let matching = Matching { roles: [pair("g", "keyMatch2"), pair("g2", "keyMatch2")].concat(), domains: Vec::new() };
    let policy = load(&text, rules, &matching).unwrap();
    assert!(judge(&policy, &["alice", "/book/1"]).0 && !judge(&policy, &["alice", "/pen/1"]).0);
    assert!(judge(&policy, &["/user/7", "/pen/1"]).0 && !judge(&policy, &["/user/7", "/book/1"]).0);

    let text = model("sub, dom", "sub, dom", "g = _, _, _", ALLOW, "g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom)");
    let rules = "p, admin, dev-*\ng, alice, admin, *\ng, bob, admin, dev-1\n";
    let policy = load(&text, rules, &Matching { roles: Vec::new(), domains: pair("g", "keyMatch") }).unwrap();
    assert!(judge(&policy, &["alice", "dev-2"]).0 && !judge(&policy, &["alice", "prod"]).0);
    assert!(judge(&policy, &["bob", "dev-1"]).0 && !judge(&policy, &["bob", "dev-2"]).0);

    let mistake = |matching| load(&text, rules, &matching).unwrap_err();
    assert!(mistake(Matching { roles: pair("g3", "keyMatch"), domains: Vec::new() }).contains("`g3`"));
    assert!(mistake(Matching { roles: pair("g", "keyGet"), domains: Vec::new() }).contains("`keyGet`"));
    let regex = Matching { roles: pair("g", "regexMatch"), domains: Vec::new() };
    for rules in ["p, a, b\np, (, b", "p, a, b\ng, (, a, b"] {
        assert!(load(&text, rules, &regex).unwrap_err().starts_with("policy.csv:2: the pattern `(`"));
    }
}

#[test]
fn more_roles_than_the_index_takes() {
    let text = model("sub, obj", "sub, obj", "g = _, _\ng2 = _, _", ALLOW, "g(r.sub, p.sub) && g2(r.obj, p.obj)");
    let mut rules = String::from("p, role99, class99\n");
    for i in 0..100 {
        rules += &format!("p, role{i}, none\np, none, class{i}\ng, alice, role{i}\ng2, data, class{i}\n");
    }
    let policy = load(&text, &rules, &Matching::default()).unwrap();
    assert_eq!(judge(&policy, &["alice", "data"]), (true, Some(1)));
    assert_eq!(judge(&policy, &["role99", "class99"]), (true, Some(1)));
    assert_eq!(judge(&policy, &["role98", "class99"]), (false, None));
}

#[test]
fn what_is_missing_equals_nothing() {
    let text = model("sub, obj", "sub", "g = _, _", ALLOW, "r.sub.team == r.obj.team");
    let policy = load(&text, "p, x", &Matching::default()).unwrap();
    let person = |team: Option<&str>| Value::Map(team.map(|t| ("team".to_owned(), t.into())).into_iter().collect());
    let ask = |a, b| policy.judge(&[&person(a), &person(b)]).unwrap().allowed;
    assert!(ask(Some("a"), Some("a")) && !ask(Some("a"), Some("b")) && !ask(None, Some("a")) && !ask(None, None));
    assert!(policy.judge(&[&"alice".into(), &person(None)]).is_err(), "a text has no attributes");
    assert!(policy.judge(&[&person(None)]).is_err(), "a value too few");
}

/// Found by the index or not: a rule that denies must not be passed over because it is compared with something else than a text.
#[test]
fn what_cannot_be_compared_is_an_error() {
    let person = |attributes: &[(&str, Value)]| Value::Map(attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect());
    let list = Value::List(vec![7.0.into(), 8.0.into()]);
    let sub = person(&[("uid", 7.0.into()), ("root", true.into()), ("groups", list), ("name", "eve".into())]);
    for (matcher, message) in [
        ("r.sub.uid == p.sub", "a number cannot be compared with a text"),
        ("p.sub != r.sub.root", "a text cannot be compared with a truth value"),
        ("p.sub in r.sub.groups", "a text cannot be compared with a number"),
        ("r.sub.uid == r.sub.root", "a number cannot be compared with a truth value"),
        ("r.sub.groups == p.sub && r.obj == p.obj", "a list cannot be compared with a text"),
        ("r.obj == p.obj && r.sub == p.sub", "a value with attributes cannot be compared with a text"),
        ("g(r.sub.uid, p.sub) && r.obj == p.obj", "a number stands where a text should be"),
        ("r.obj == p.obj && keyMatch(r.sub.groups, p.sub)", "a list stands where a text should be"),
    ] {
        let text = model("sub, obj", "sub, obj, eft", "g = _, _", "!some(where (p.eft == deny))", matcher);
        let policy = load(&text, "p, 7, data, deny", &Matching::default()).unwrap();
        let error = policy.judge(&[&sub, &"data".into()]).unwrap_err().to_string();
        assert_eq!(error, format!("policy.csv:1: the matcher (model.conf:10): {message}"), "{matcher}");
    }
    let text = model("sub, dom", "sub, dom", "g = _, _, _", "!some(where (p.eft == deny))", "g(r.sub, p.sub, r.dom)");
    let policy = load(&text, "p, root, one", &Matching::default()).unwrap();
    assert!(policy.judge(&[&"eve".into(), &1.0.into()]).is_err());
    assert!(policy.judge(&[&"eve".into(), &Value::Null]).unwrap().allowed, "nobody has a role in no domain");
}

#[test]
fn mistakes_have_lines() {
    let text = model("sub, obj", "sub, obj", "g = _, _", ALLOW, RBAC);
    for (rules, message) in [
        ("\np, alice", "policy.csv:2: the model wants 2 fields after `p`, here are 1"),
        ("p, alice, x, y", "policy.csv:1: the model wants 2 fields after `p`, here are 3"),
        ("g, alice", "policy.csv:1: the model wants 2 fields after `g`, here are 1"),
        ("p, a, b\np2, a, b", "policy.csv:2: the model defines no `p2`"),
        ("# p, a, b\ng, a, b", "policy.csv: there is no rule (`p, …`), but the matcher compares with those"),
    ] {
        assert_eq!(load(&text, rules, &Matching::default()).unwrap_err(), message);
    }
    let text = model("sub, obj", "sub, obj, eft", "g = _, _", ALLOW, RBAC);
    for word in ["Deny", "DENY", "denied", "deny # eve", ""] {
        let mistake = load(&text, &format!("p, a, b, allow\np, eve, *, {word}"), &Matching::default()).unwrap_err();
        assert_eq!(mistake, format!("policy.csv:2: the effect `{word}` is none of allow, deny and indeterminate"));
    }
    let with = |matcher: &str, rules: &str| load(&model("sub, obj", "sub, obj", "g = _, _", ALLOW, matcher), rules, &Matching::default());
    assert_eq!(with("r.sub == p.who", "").unwrap_err(), "model.conf:10: a rule has no `p.who`");
    assert!(with("regexMatch(r.sub, '(')", "").unwrap_err().starts_with("model.conf:10: the pattern `(`"));
    assert!(with("regexMatch(r.sub, p.sub)", "p, a, b\np, [, b").unwrap_err().starts_with("policy.csv:2: the pattern `[`"));
    assert_eq!(with("eval(p.sub)", "p, r.nobody == 1, b").unwrap_err(), "policy.csv:1: `r.nobody == 1`: a request has no `r.nobody`");
    assert!(with("eval(p.sub)", "").unwrap_err().contains("there is no rule"));
    assert!(with("r.sub == 'a'", "").unwrap().is_empty(), "a matcher may do without rules");
    assert_eq!(with("eval(p.sub)", "p, eval(p.sub), b").unwrap_err(), "policy.csv:1: `eval(p.sub)`: `eval` within `eval`");
    let policy = with("r.sub < 1", "p, a, b").unwrap();
    let error = policy.judge(&[&"x".into(), &"y".into()]).unwrap_err().to_string();
    assert_eq!(error, "policy.csv:1: the matcher (model.conf:10): `<` stands between a text and a number");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the files hold: an error or a policy, that answers.
    #[test]
    fn any_text(
        matcher in prop::collection::vec(select(&["r.sub", "p.sub", "p.obj", "r.obj.x", "g", "eval", "keyMatch3", "(", ")", "[", "]", ",", "&&", "||", "!", "-", "==", "<", "in", "\"a\"", "1", "'", "\\", "#", "é"][..]), 0..12),
        lines in prop::collection::vec(prop::collection::vec(select(&["p", "g", "a", "r.sub", "r.sub == 'x'", "\"", "*", "{", "#", ""][..]), 0..4), 0..4),
        noise in "\\PC{0,20}",
    ) {
        let rules = lines.iter().map(|fields| fields.join(",")).collect::<Vec<_>>().join("\n");
        let text = model("sub, obj", "sub, obj", "g = _, _", ALLOW, &matcher.join(" "));
        for (text, rules) in [(text.as_str(), rules.as_str()), (&text, &noise), (&noise, &rules), (&format!("{text}{noise}"), &rules)] {
            if let Ok(policy) = load(text, rules, &Matching::default()) {
                let _ = policy.judge(&[&"a".into(), &"b".into()]);
            }
        }
    }
}
