//! The example policies do what their comments say, from the request to the decision.

use crate::{judge::Judge, settings::Settings};
use casbin_policy::Source;
use std::path::Path;
use wharf_plugin::authz::{Bind, Caller, Certificate, Decision, Denial, Exposure, Object, ObjectKind, Patch, Process, Request, Verdict};

fn example(name: &str) -> Judge {
    with(name, |_| {})
}

fn with(name: &str, change: impl FnOnce(&mut Settings)) -> Judge {
    let read = |file: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join(file)).unwrap();
    let mut settings = Settings::parse(&read("settings.json")).unwrap();
    change(&mut settings);
    let (model, policy) = (read("model.conf"), read("policy.csv"));
    Judge::new(Source { name: "model.conf", text: &model }, Source { name: "policy.csv", text: &policy }, settings).unwrap()
}

fn user(uid: u32, groups: &[u32]) -> Caller {
    Caller { process: Some(Process { uid, gid: uid, groups: groups.to_vec(), pid: 1 }), certificate: None, container: None }
}

fn certificate(name: &str) -> Caller {
    Caller {
        process: None,
        certificate: Some(Certificate { common_name: name.to_owned(), alternative_names: Vec::new() }),
        container: None,
    }
}

/// `container:web` that there is, or with `?` at its end is not.
fn object(name: &str, labels: &[(&str, &str)]) -> Object {
    let (kind, name) = name.split_once(':').unwrap();
    let kind = match kind {
        "container" => ObjectKind::Container,
        "image" => ObjectKind::Image,
        "volume" => ObjectKind::Volume,
        "network" => ObjectKind::Network,
        "exec" => ObjectKind::Exec,
        _ => ObjectKind::Plugin,
    };
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let (id, name, named) = match name.strip_suffix('?') {
        Some(named) => (String::new(), String::new(), named.to_owned()),
        None => ("1d".to_owned(), name.to_owned(), "1".to_owned()),
    };
    Object { kind, named, id, name, labels, image: String::new(), container: String::new() }
}

fn request(caller: &Caller, action: &str, targets: &[&str], exposure: Option<Exposure>) -> Request {
    Request {
        action: action.to_owned(),
        api_version: "1.45".to_owned(),
        caller: caller.clone(),
        targets: targets.iter().map(|t| object(t, &[])).collect(),
        exposure,
        input: String::new(),
        line: String::new(),
    }
}

fn exposure(host_root: &[&str], binds: &[(&str, bool)]) -> Option<Exposure> {
    let bind = |(source, read_only): &(&str, bool)| Bind { source: (*source).to_owned(), target: "/t".to_owned(), read_only: *read_only };
    Some(Exposure {
        host_root: host_root.iter().map(|w| (*w).to_owned()).collect(),
        binds: binds.iter().map(bind).collect(),
        capabilities: Vec::new(),
        ports: vec!["0.0.0.0:80/tcp".to_owned()],
    })
}

fn allowed(judge: &Judge, request: &Request) -> bool {
    !matches!(judge.judge(request).unwrap().verdict, Verdict::Deny(_))
}

fn denial(decision: Decision) -> (Denial, String) {
    match decision.verdict {
        Verdict::Deny(denial) => (denial, decision.rule),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dashboard_looks_and_does_not_touch() {
    let judge = example("read-only");
    let (root, board, member) = (user(0, &[]), certificate("dashboard"), user(1, &[990]));
    for (action, targets, looks) in [
        ("container.list", &[][..], true),
        ("container.inspect", &["container:web"], true),
        ("container.logs", &["container:web"], true),
        ("image.history", &["image:a:1"], true),
        ("system.events", &[], true),
        ("container.start", &["container:web"], false),
        ("container.archive_get", &["container:web"], false),
        ("container.export", &["container:web"], false),
        ("exec.create", &["container:web"], false),
        ("image.save", &["image:a:1"], false),
        ("system.auth", &[], false),
        ("container.inspect_all", &["container:web"], false),
    ] {
        assert!(allowed(&judge, &request(&root, action, targets, None)), "{action}");
        for caller in [&board, &member] {
            assert_eq!(allowed(&judge, &request(caller, action, targets, None)), looks, "{action}");
        }
        assert!(!allowed(&judge, &request(&user(5, &[]), action, targets, None)), "{action}");
        assert!(
            !allowed(&judge, &request(&Caller { process: None, certificate: None, container: None }, action, targets, None)),
            "{action}"
        );
    }
    let decision = judge.judge(&request(&board, "container.logs", &["container:web"], None)).unwrap();
    assert_eq!(decision.rule, r"policy.csv:4: p, viewer, container:*, ^container\.(top|logs|stats|changes|wait)$");
    let (denial, rule) = denial(judge.judge(&request(&board, "container.start", &["container:web"], None)).unwrap());
    assert_eq!((denial.reason.as_str(), denial.hide, rule.as_str()), ("cert:dashboard may not container.start container:web", false, ""));
}

#[test]
fn a_runner_has_what_it_made() {
    let judge = example("ci");
    let ci = user(1001, &[]);
    let create = |exposure| request(&ci, "container.create", &["container:job?", "image:alpine:3"], exposure);
    let decision = judge.judge(&create(None)).unwrap();
    assert!(
        matches!(&decision.verdict, Verdict::AllowWith(p) if matches!(&p[..], [Patch::Label((n, v))] if n == "created-by" && v == "user:ci"))
    );
    assert!(!allowed(&judge, &create(exposure(&[], &[("/srv", true)]))), "nothing of the host");
    let joining = request(&ci, "container.create", &["image:alpine:3", "container:web", "container:job?"], None);
    assert!(!allowed(&judge, &joining), "neither namespaces nor volumes of others");

    let on = |action: &str, labels: &[(&str, &str)]| Request {
        targets: vec![object("container:job", labels)],
        ..request(&ci, action, &[], None)
    };
    let own: &[(&str, &str)] = &[("created-by", "user:ci")];
    let other: &[(&str, &str)] = &[("created-by", "user:eve")];
    for action in ["container.start", "container.logs", "container.remove", "exec.create"] {
        assert!(allowed(&judge, &on(action, own)), "{action}");
        assert!(!allowed(&judge, &on(action, other)), "{action}");
        assert!(!allowed(&judge, &on(action, &[])), "{action}");
        assert!(allowed(&judge, &Request { caller: user(0, &[]), ..on(action, other) }), "{action}");
    }
    let start =
        |labels| Request { targets: vec![object("exec:e", &[]), object("container:job", labels)], ..request(&ci, "exec.start", &[], None) };
    assert!(allowed(&judge, &start(own)) && !allowed(&judge, &start(other)));
    for (action, targets, may) in [
        ("image.inspect", &["image:alpine:3"][..], true),
        ("image.create", &["image:own:1?"], true),
        ("image.create", &[], true),
        ("image.create", &["image:alpine:3"], false),
        ("image.remove", &["image:alpine:3"], false),
        ("image.tag", &["image:own:1", "image:alpine:3"], false),
        ("image.load", &[], false),
    ] {
        assert_eq!(allowed(&judge, &request(&ci, action, targets, None)), may, "{action} {targets:?}");
    }
    let commit = |name: &str| Request {
        targets: vec![object("container:job", own), object(name, &[])],
        ..request(&ci, "container.commit", &[], None)
    };
    assert!(allowed(&judge, &commit("image:own:1?")) && !allowed(&judge, &commit("image:alpine:3")));

    assert!(judge.filters());
    let (denial, _) = denial(judge.judge(&on("container.start", other)).unwrap());
    assert!(denial.hide, "what it may not inspect is not there");
    // And what is not there is refused alike, but for what is to be made.
    for (action, target, hide) in [("container.start", "container:none?", true), ("image.load", "image:x:1?", false)] {
        let Verdict::Deny(denial) = judge.judge(&request(&ci, action, &[target], None)).unwrap().verdict else { panic!("{action}") };
        assert_eq!(denial.hide, hide, "{action}");
    }
    let objects = [object("container:a", own), object("container:b", other), object("container:c", &[]), object("image:x:1", &[])];
    assert_eq!(judge.filter(&ci, &objects).unwrap(), [true, false, false, true]);
    assert_eq!(judge.filter(&user(0, &[]), &objects).unwrap(), [true; 4]);
}

#[test]
fn nobody_becomes_root_of_the_host() {
    let judge = example("no-host-root");
    for caller in [user(0, &[]), user(7, &[998])] {
        let create = |exposure| request(&caller, "container.create", &["container:?", "image:a:1"], exposure);
        assert!(allowed(&judge, &create(exposure(&[], &[("/srv", false)]))));
        let (denial, rule) = denial(judge.judge(&create(exposure(&["privileged"], &[]))).unwrap());
        assert!(denial.reason.ends_with("may not container.create host-root:privileged"), "{}", denial.reason);
        assert_eq!(rule, "policy.csv:4: p, *, host-root:*, *, deny");
        assert!(!allowed(&judge, &request(&caller, "container.start", &["container:x"], exposure(&["device"], &[]))));
    }
    assert!(!allowed(&judge, &request(&user(7, &[]), "system.ping", &[], None)));
}

/// The actions on plugins, of the engine's reference, but for those that only look.
fn changes_of_plugins() -> Vec<String> {
    let api = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/api.md")).unwrap();
    let mut actions: Vec<String> = api.split('`').filter(|word| word.starts_with("plugin.")).map(str::to_owned).collect();
    assert!(actions.iter().any(|action| action == "plugin.set"), "{actions:?}");
    actions.retain(|action| !["plugin.list", "plugin.inspect", "plugin.privileges", "plugin.push"].contains(&action.as_str()));
    actions
}

#[test]
fn who_may_change_plugins_is_root() {
    for (example, callers, operator) in [
        ("no-host-root", &[user(0, &[]), user(7, &[998])][..], false),
        ("read-only", &[certificate("dashboard"), user(1, &[990])], true),
        ("ci", &[user(1001, &[])], true),
        ("binds", &[user(7, &[2000])], true),
    ] {
        let judge = self::example(example);
        for action in changes_of_plugins() {
            for targets in [&[][..], &["plugin:authz-casbin:latest"], &["plugin:new?"]] {
                let may = |caller: &Caller| allowed(&judge, &request(caller, &action, targets, None));
                assert!(!callers.iter().any(may), "{example} {action}");
                assert_eq!(may(&user(0, &[])), operator, "{example} {action}");
            }
        }
    }
    assert!(allowed(&example("no-host-root"), &request(&user(7, &[998]), "plugin.list", &[], None)));
}

#[test]
fn binds_stay_below_their_directories() {
    let judge = example("binds");
    let dev = user(7, &[2000]);
    let bound = |path: &str, read_only| {
        allowed(&judge, &request(&dev, "container.create", &["container:?", "image:a:1"], exposure(&[], &[(path, read_only)])))
    };
    assert!(bound("/srv/dev/a/b", false) && bound("/srv/dev/a", true) && bound("/usr/share/doc", true));
    assert!(!bound("/usr/share/doc", false) && !bound("/srv/devil", false) && !bound("/srv", true) && !bound("/", true));
    assert!(!allowed(&judge, &request(&dev, "container.create", &["container:?", "image:a:1"], exposure(&["privileged"], &[]))));
    assert!(allowed(&judge, &request(&dev, "container.start", &["container:a"], exposure(&[], &[("/srv/dev/a", false)]))));
    assert!(allowed(&judge, &request(&user(0, &[]), "container.create", &["container:?"], exposure(&["privileged"], &[("/", false)]))));
}

#[test]
fn a_dry_run_refuses_nothing_and_says_what_it_would() {
    let judge = with("ci", |settings| settings.dry_run = true);
    let decision = judge.judge(&request(&user(1001, &[]), "container.kill", &["container:x"], None)).unwrap();
    assert!(matches!(decision.verdict, Verdict::Allow) && !judge.filters());
    assert_eq!(decision.rule, "dry run, would deny: user:ci may not container.kill container:x");
    for targets in [&["container:job?", "image:alpine:3"][..], &["container:web", "container:job?"]] {
        let decision = judge.judge(&request(&user(1001, &[]), "container.create", targets, None)).unwrap();
        assert_eq!(decision.rule.starts_with("dry run, would deny"), targets[0] == "container:web");
        let Verdict::AllowWith(patches) = decision.verdict else { panic!("{targets:?}: whose it is stays known") };
        assert!(matches!(&patches[..], [Patch::Label((name, owner))] if name == "created-by" && owner == "user:ci"), "{targets:?}");
    }
    let judge = with("no-host-root", |settings| settings.dry_run = true);
    let decision = judge.judge(&request(&user(0, &[]), "container.create", &["container:?"], exposure(&["privileged"], &[]))).unwrap();
    assert_eq!(
        decision.rule,
        "dry run, would deny: uid:0 may not container.create host-root:privileged (policy.csv:4: p, *, host-root:*, *, deny)"
    );
}

#[test]
fn fields_of_requests() {
    let model = |request: &str, matcher: &str| {
        format!(
            "[request_definition]\nr = {request}\n[policy_definition]\np = sub\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
        )
    };
    let judge = |model: &str, settings| Judge::new(Source { name: "m", text: model }, Source { name: "p", text: "p, uid:1" }, settings);
    let text = model(
        "sub, act, input, exposure",
        "r.sub == p.sub && r.input.HostConfig.Memory <= 1000 && !(\"SYS_TIME\" in r.exposure.capabilities)",
    );
    let judged = judge(&text, Settings::default()).unwrap();
    assert!(judged.reads_input());
    let ask = |memory: u32, capability: &str| {
        let exposure = Exposure { capabilities: vec![capability.to_owned()], ports: Vec::new(), ..exposure(&[], &[]).unwrap() };
        let input = format!("{{\"HostConfig\": {{\"Memory\": {memory}}}}}");
        allowed(&judged, &Request { input, ..request(&user(1, &[]), "container.create", &[], Some(exposure)) })
    };
    assert!(ask(1000, "CHOWN") && !ask(1001, "CHOWN") && !ask(1000, "SYS_TIME"));
    let with = |input: &str| judged.judge(&Request { input: input.to_owned(), ..request(&user(1, &[]), "container.create", &[], None) });
    assert!(with("{}").is_err(), "what cannot be compared is an error, which denies");
    assert!(with("").unwrap_err().contains("came without it"), "it was asked for another model");

    let groups = model("sub", "p.sub == \"uid:1\" && r.sub.uid == \"7\" && \"998\" in r.sub.groups && r.sub.gid != \"0\"");
    let judged = judge(&groups, Settings::default()).unwrap();
    let ask = |caller: Caller| allowed(&judged, &request(&caller, "system.info", &[], None));
    assert!(ask(user(7, &[998])) && !ask(user(7, &[99])) && !ask(user(8, &[998])) && !ask(certificate("x")));

    let domains = model("sub, dom", "r.sub == p.sub && r.dom == \"dev\"");
    assert!(judge(&domains, Settings::default()).err().unwrap().contains("DOMAIN_LABEL"));
    let judged = judge(&domains, Settings { domain_label: "tenant".to_owned(), ..Settings::default() }).unwrap();
    let on = |tenant| Request {
        targets: vec![object("container:x", &[("tenant", tenant)])],
        ..request(&user(1, &[]), "container.start", &[], None)
    };
    assert!(allowed(&judged, &on("dev")) && !allowed(&judged, &on("prod")));
    assert!(judge(&model("who", "r.who == p.sub"), Settings::default()).err().unwrap().contains("a request has no `who`"));
}
