//! Docker's plugin protocol with plugins that are programs of their own, written in Python as people write them (`plugin.py`).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot run may panic

mod harness;
mod tls;

use harness::{Script, documented, fast, request};
use std::time::{Duration, Instant};
use wharf_plugin_host::legacy::{Discovery, NativePlugins, Plugins, Timeouts};
use wharf_spi::authz::{Interests, Verdict};
use wharf_types::ErrorKind;

#[tokio::test]
async fn allows_and_is_told_what_will_be_executed() {
    let plugin = Script::start("allow");
    let authorizer = plugin.authorizer(Timeouts::default());
    assert_eq!((authorizer.name(), authorizer.judges_answers()), ("guard", true));
    assert_eq!(authorizer.interests(), Interests { input: true, filter: false });
    let rq = request();
    for _ in 0..10 {
        assert_eq!(authorizer.judge(&rq).await.unwrap().verdict, Verdict::Allow);
    }
    let headers = [("Content-Type".to_owned(), "application/json".to_owned()), ("X-Registry-Auth".to_owned(), "SECRET".to_owned())];
    assert_eq!(authorizer.judge_answer(&rq, 201, &headers, b"{}").await.unwrap().verdict, Verdict::Allow);

    let calls = plugin.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].body.as_str()), ("/Plugin.Activate", ""));
    let call = &calls[1];
    assert_eq!(call.path, "/AuthZPlugin.AuthZReq");
    let media = "application/vnd.docker.plugins.v1.2+json";
    assert_eq!(["Accept", "Content-Type", "Host"].map(|n| call.header(n)), [media, media, "plugin.moby.localhost"]);
    assert_eq!(call.decoded("RequestBody"), r#"{"Image":"a","HostConfig":{"Privileged":true}}"#);
    assert_eq!(call.field("RequestUri"), "/v1.45/containers/create?name=c");
    assert!(calls.iter().all(|c| !c.body.contains("SECRET")), "credentials are nobody's business");
    assert!(calls.iter().all(|c| c.connection == 1), "connections are kept");
    let answered = &calls[11];
    assert_eq!((answered.path.as_str(), answered.field("ResponseStatusCode")), ("/AuthZPlugin.AuthZRes", 201.into()));
    assert_eq!((answered.decoded("ResponseBody"), answered.decoded("RequestBody")), ("{}".to_owned(), call.decoded("RequestBody")));
}

#[tokio::test]
async fn whatever_is_no_permission_denies() {
    let verdict = async |mode| {
        let plugin = Script::start(mode);
        plugin.authorizer(Timeouts::default()).judge(&request()).await.map(|d| d.verdict).map_err(|e| e.message().to_owned())
    };
    assert_eq!(verdict("deny").await, Ok(Verdict::deny("not today")));
    let failures = [
        ("error", "policy is broken"),
        ("garbage", "AuthZPlugin.AuthZReq: the answer cannot be read: it is no JSON object"),
        ("failure", "AuthZPlugin.AuthZReq: out of order"),
        ("missing", "AuthZPlugin.AuthZReq: 404 page not found"),
        ("huge", "AuthZPlugin.AuthZReq: the answer is larger than 1048576 bytes"),
        ("volumes", r#"Plugin does not implement the requested driver: plugin="guard", requested implementation="authz""#),
    ];
    for (mode, words) in failures {
        assert_eq!(verdict(mode).await, Err(words.to_owned()), "{mode}");
    }
    for mode in ["cut", "dies"] {
        assert!(verdict(mode).await.unwrap_err().starts_with("AuthZPlugin.AuthZReq: "), "{mode}");
    }
}

#[tokio::test]
async fn one_that_hangs_soon_costs_no_time() {
    let plugin = Script::start("hang");
    let plugins = plugin.plugins(fast());
    let authorizer = plugins.authorizer("guard");
    for _ in 0..3 {
        let e = authorizer.judge(&request()).await.unwrap_err();
        assert_eq!(e.message(), "AuthZPlugin.AuthZReq: no answer within 500ms");
    }
    let started = Instant::now();
    let e = authorizer.judge(&request()).await.unwrap_err();
    assert_eq!(e.message(), "AuthZPlugin.AuthZReq: not called, the plugin did not answer in time lately");
    assert!(started.elapsed() < Duration::from_millis(100));
    let statistics = plugins.get("guard").await.unwrap().statistics();
    let (method, calls) = &statistics[0];
    assert_eq!(
        (*method, calls.seconds.count, calls.errors, calls.timeouts, calls.seconds.cumulative[7..].to_vec()),
        ("AuthZPlugin.AuthZReq", 3, 0, 3, vec![0, 3, 3])
    );
    assert!(calls.seconds.sum >= 1.5);
    assert_eq!(plugins.health("guard").status.word(), "quarantined");

    let mut plugin = plugin;
    plugin.restart("allow");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(authorizer.judge(&request()).await.unwrap().verdict, Verdict::Allow);
    assert_eq!(plugins.health("guard").status.word(), "healthy");
}

#[tokio::test]
async fn one_that_dies_is_used_again_when_it_comes_back() {
    let mut plugin = Script::start("allow");
    let authorizer = plugin.authorizer(Timeouts::default());
    authorizer.judge(&request()).await.unwrap();
    plugin.kill();
    let started = Instant::now();
    for _ in 0..100 {
        let e = authorizer.judge(&request()).await.unwrap_err();
        let words = format!("AuthZPlugin.AuthZReq: dial unix {}: connect: connection refused", plugin.socket().display());
        assert_eq!((e.kind(), e.message()), (ErrorKind::Unavailable, words.as_str()));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "a dead socket costs nothing");
    plugin.restart("allow");
    assert_eq!(authorizer.judge(&request()).await.unwrap().verdict, Verdict::Allow);
}

#[tokio::test]
async fn connections_that_are_closed_between_calls() {
    for mode in ["closes", "http10"] {
        let plugin = Script::start(mode);
        let authorizer = plugin.authorizer(Timeouts::default());
        for n in 0..50 {
            let verdict = authorizer.judge(&request()).await.map(|d| d.verdict);
            assert_eq!(verdict.unwrap(), Verdict::Allow, "{mode} {n}");
        }
        assert!(plugin.calls().len() >= 51);
    }
}

#[tokio::test]
async fn many_at_once() {
    let plugin = Script::start("allow");
    let authorizer = plugin.authorizer(Timeouts::default());
    let judged: Vec<_> = (0..64)
        .map(|_| {
            let authorizer = authorizer.clone();
            tokio::spawn(async move { authorizer.judge(&request()).await.map(|d| d.verdict) })
        })
        .collect();
    for verdict in judged {
        assert_eq!(verdict.await.unwrap().unwrap(), Verdict::Allow);
    }
    assert_eq!(plugin.calls().iter().filter(|c| c.path == "/Plugin.Activate").count(), 1, "they share one activation");
}

#[tokio::test]
async fn activation_that_takes_its_time() {
    let plugin = Script::start("slow0.7");
    assert_eq!(plugin.authorizer(fast()).judge(&request()).await.unwrap().verdict, Verdict::Allow);

    let plugin = Script::start("slow1000");
    let authorizer = plugin.authorizer(fast());
    let started = Instant::now();
    let judged: Vec<_> = (0..20)
        .map(|_| {
            let authorizer = authorizer.clone();
            tokio::spawn(async move { authorizer.judge(&request()).await.unwrap_err().message().to_owned() })
        })
        .collect();
    for outcome in judged {
        assert_eq!(outcome.await.unwrap(), "Plugin.Activate: no answer within 2s");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "those that wait take part in the outcome");
}

#[tokio::test]
async fn one_that_starts_late_is_waited_for() {
    let mut plugin = Script::start("allow");
    plugin.kill(); // its socket stays
    let authorizer = plugin.authorizer(Timeouts::default());
    let judged = tokio::spawn(async move { authorizer.judge(&request()).await.map(|d| d.verdict) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    plugin.restart("allow");
    assert_eq!(judged.await.unwrap().unwrap(), Verdict::Allow);
}

#[tokio::test]
async fn one_that_is_not_there() {
    let mut plugin = Script::start("allow");
    let plugins = plugin.plugins(Timeouts { patience: Duration::ZERO, ..fast() });
    assert_eq!(plugins.list(), ["guard"]);
    let missing = plugins.authorizer("other").judge(&request()).await.unwrap_err();
    assert_eq!((missing.kind(), missing.message()), (ErrorKind::NotFound, r#"plugin "other" not found"#));

    plugin.kill();
    let guard = plugins.authorizer("guard");
    assert_eq!(guard.judge(&request()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    plugin.restart("allow");
    assert_eq!(guard.judge(&request()).await.unwrap().verdict, Verdict::Allow, "a failed activation is not for ever");
    assert_eq!(Discovery::default().sockets.to_str(), Some("/run/docker/plugins"));
}

#[tokio::test]
async fn the_documented_example_does_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut example = documented(dir.path());
    let discovery = Discovery { sockets: dir.path().to_owned(), specs: Vec::new() };
    let authorizer = Plugins::new(discovery, Timeouts::default(), NativePlugins::Refused).authorizer("guard");
    let mut rq = request();
    let created = authorizer.judge(&rq).await;
    rq.http.uri = "/v1.45/containers/c/exec".to_owned();
    let entered = authorizer.judge(&rq).await;
    example.kill().unwrap();
    example.wait().unwrap();
    assert_eq!(created.unwrap().verdict, Verdict::Allow);
    assert_eq!(entered.unwrap().verdict, Verdict::deny("nobody enters containers here"));
}
