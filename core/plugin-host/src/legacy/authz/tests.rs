//! The documents themselves; what plugins make of them is tested with real ones in `tests/legacy`.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use wharf_spi::authz::{Action, Caller, PeerCert, RawView};

fn request(action: &'static str, method: &str, input: &str, headers: &[(&str, &str)]) -> AuthzRequest {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    AuthzRequest {
        caller: Caller::default(),
        action: Action(action),
        api_version: "1.45".to_owned(),
        targets: Vec::new(),
        exposure: None,
        input: input.to_owned(),
        http: RawView { method: method.to_owned(), uri: "/v1.45/x?y=z".to_owned(), headers },
    }
}

fn document(rq: &AuthzRequest, answered: Option<Answered<'_>>) -> Value {
    serde_json::to_value(question(rq, body(rq).unwrap().as_deref(), answered).unwrap()).unwrap()
}

#[test]
fn a_body_and_its_headers() {
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("A", "1"),
        ("A", "2"),
    ];
    let secrets = [("AUTHORIZATION", "s"), ("X-Registry-Auth", "s"), ("x-registry-config", "s"), ("X-Registry-Other", "s"), ("Host", "h")];
    let rq = request("container.create", "POST", r#"{"name":"c","body":{"Image":"a","n":1e400}}"#, &[&headers[..], &secrets].concat());
    let expected = json!({
        "RequestMethod": "POST",
        "RequestUri": "/v1.45/x?y=z",
        "RequestBody": STANDARD.encode(r#"{"Image":"a","n":1e400}"#),
        "RequestHeaders": {"A": "2", "Content-Type": "application/json"},
    });
    assert_eq!(document(&rq, None), expected);
}

#[test]
fn bodies_in_dockers_shape() {
    let of = |action, method, input| body(&request(action, method, input, &[])).map_err(|e| e.message().to_owned());
    let some = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(of("exec.create", "POST", r#"{"id":"c","body":{"Privileged":true}}"#), some(r#"{"Privileged":true}"#));
    assert_eq!(of("container.copy", "POST", r#"{"id":"c","body":{"Resource":"/etc\"x"}}"#), some(r#"{"Resource":"/etc\"x"}"#));
    assert_eq!(of("container.commit", "POST", r#"{"container":"c","body":null}"#), Ok(None));
    assert_eq!(of("container.list", "GET", r#"{"all":true}"#), Ok(None));
    assert_eq!(of("volume.create", "POST", r#"{"Name":"v"}"#), some(r#"{"Name":"v"}"#), "nothing is called so: all of it");
    assert_eq!(of("system.ping", "POST", "null"), Ok(None));
    // An input that was not made: better no answer than a wrong one.
    assert_eq!(of("container.create", "POST", ""), Err("the body of container.create is not known".to_owned()));
}

#[test]
fn nothing_is_cut_off() {
    let input = |len: usize| format!(r#"{{"body":"{}"}}"#, "x".repeat(len - 2));
    let asked = |len| {
        let rq = request("container.create", "POST", &input(len), &[]);
        let body = body(&rq).unwrap();
        question(&rq, body.as_deref(), None).map(|q| q.request_body.len()).map_err(|e| e.message().to_owned())
    };
    assert_eq!(asked(MAX_BODY), Ok(MAX_BODY));
    assert_eq!(asked(MAX_BODY + 1), Err("request body too large for authorization plugin: size exceeds 4194304 bytes".to_owned()));
}

#[test]
fn the_user_is_the_certificates() {
    let mut rq = request("system.ping", "GET", "", &[]);
    let names = (vec![], vec![1; 100]);
    rq.caller.tls = Some(PeerCert { common_name: "ann".to_owned(), alternative_names: names.0, der: names.1 });
    let asked = document(&rq, None);
    assert_eq!((&asked["User"], &asked["UserAuthNMethod"]), (&json!("ann"), &json!("TLS")));
    let pem = STANDARD.decode(asked["RequestPeerCertificates"][0].as_str().unwrap()).unwrap();
    let pem = String::from_utf8(pem).unwrap();
    let lines: Vec<_> = pem.lines().collect();
    assert_eq!((lines[0], lines[4], lines[1].len(), lines.len()), ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", 64, 5));
    assert_eq!(STANDARD.decode(lines[1..4].concat()).unwrap(), [1; 100]);
}

#[test]
fn an_answer_that_is_judged() {
    let rq = request("system.ping", "GET", "", &[]);
    let headers = [("X-Registry-Auth".to_owned(), "s".to_owned()), ("Api-Version".to_owned(), "1.45".to_owned())];
    let asked = document(&rq, Some(Answered { status: 200, body: b"OK", headers: public(&headers).collect() }));
    let expected = json!({
        "RequestMethod": "GET",
        "RequestUri": "/v1.45/x?y=z",
        "ResponseStatusCode": 200,
        "ResponseBody": "T0s=",
        "ResponseHeaders": {"Api-Version": "1.45"},
    });
    assert_eq!(asked, expected);
}

#[test]
fn only_a_clear_yes_allows() {
    let verdict = |answer: &str| decide("m", answer.as_bytes()).map(|d| d.verdict).map_err(|e| e.message().to_owned());
    assert_eq!(verdict(r#"{"Allow": true}"#), Ok(Verdict::Allow));
    assert_eq!(verdict(r#"{"allow": true, "Msg": null, "Err": "", "Other": [1]}"#), Ok(Verdict::Allow));
    assert_eq!(verdict(r#"{"Allow": false, "Msg": "no"}"#), Ok(Verdict::deny("no")));
    assert_eq!(verdict(r#"{"Allow": null, "Msg": "no"}"#), Ok(Verdict::deny("no")));
    assert_eq!(verdict("{}"), Ok(Verdict::deny("")));
    assert_eq!(verdict(r#"{"Allow": true, "Err": "broken"}"#), Err("broken".to_owned()));
    let long = "x".repeat(100_000);
    let denied = verdict(&format!(r#"{{"Allow": false, "Msg": "{long}"}}"#)).unwrap();
    assert!(matches!(denied, Verdict::Deny(denial) if denial.reason.len() < 5_000));
    assert!(verdict(&format!(r#"{{"Err": "{long}"}}"#)).unwrap_err().len() < 5_000);
    for unreadable in
        ["", "true", "[true]", r#"{"Allow": "true"}"#, r#"{"Allow": 1}"#, r#"{"Allow": false, "allow": true}"#, r#"{"Allow": true"#]
    {
        assert!(verdict(unreadable).is_err(), "{unreadable}");
    }
}

proptest! {
    /// Documents near an answer: whatever they are, none but one whose `Allow` is true and whose `Err` says nothing allows.
    #[test]
    fn nothing_else_allows(allow in r#"true|false|null|1|"true"|\[true\]"#, name in "Allow|allow|ALLOW|Msg", err in "|x", tail in r#"\}|\},|| \} "#) {
        let answer = format!(r#"{{"{name}": {allow}, "Err": "{err}"{tail}"#);
        let allowed = decide("m", answer.as_bytes()).is_ok_and(|d| d.verdict == Verdict::Allow);
        let clear = allow == "true" && ["Allow", "allow"].contains(&name.as_str()) && err.is_empty() && tail.trim() == "}";
        prop_assert_eq!(allowed, clear, "{}", answer);
    }
}
