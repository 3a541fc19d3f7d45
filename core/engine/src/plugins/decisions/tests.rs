use super::super::decision_log::DecisionLogSettings;
use super::*;
use wharf_spi::authz::{Action, RawView};
use wharf_types::Error;

/// Does what the action says.
struct Script;

#[async_trait]
impl Authorizer for Script {
    fn name(&self) -> &str {
        "script"
    }
    fn interests(&self) -> Interests {
        Interests { input: true, filter: true }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        match rq.action.0 {
            "deny" => Ok(Decision { verdict: Verdict::deny("no\nway"), rule: "p, 7".to_owned() }),
            "fail" => Err(Error::system("confused")),
            _ => Ok(Verdict::Allow.into()),
        }
    }
    async fn filter(&self, _: &Caller, _: &[Object]) -> Result<Vec<bool>> {
        Err(Error::system("blind"))
    }
}

fn request(action: &'static str) -> AuthzRequest {
    AuthzRequest {
        caller: Caller::default(),
        action: Action(action),
        api_version: "1.41".to_owned(),
        targets: vec![Object::named(ObjectKind::Container, "box")],
        exposure: None,
        input: "{\"secret\":1}".to_owned(),
        http: RawView::default(),
    }
}

async fn lines(all: bool, monitor: bool) -> (Vec<serde_json::Value>, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let decisions = Arc::<Decisions>::default();
    decisions.log.configure(Some(DecisionLogSettings { path: path.clone(), all })).unwrap();
    let place: Arc<dyn Authorizer> = match monitor {
        true => Arc::new(Monitored::new(Arc::new(Script), "script:latest", decisions.clone())),
        false => Arc::new(Judged::new(Arc::new(Script), "script:latest", decisions.clone())),
    };
    assert_eq!(place.interests(), Interests { input: true, filter: !monitor });
    for action in ["allow", "deny", "fail"] {
        let verdict = place.judge(&request(action)).await.map(|d| d.verdict == Verdict::Allow);
        assert_eq!(verdict.unwrap_or(false), monitor || action == "allow", "{action}");
    }
    // One thread: whoever is asked beside the request is asked now.
    tokio::task::yield_now().await;
    if !monitor {
        place.filter(&Caller::default(), &[]).await.unwrap_err();
    }
    let rq = request("inspect");
    decisions.hidden(&rq, &rq.targets[0]);
    let mut text = Exposition::default();
    decisions.expose(&mut text);
    decisions.log.close();
    let written = std::fs::read_to_string(path).unwrap();
    (written.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), text.finish())
}

#[tokio::test]
async fn what_denies_is_written_down_and_everything_is_counted() {
    let (lines, text) = lines(false, false).await;
    let told: Vec<_> = lines.iter().map(|l| (l["action"].as_str().unwrap(), l["outcome"].as_str().unwrap())).collect();
    assert_eq!(told, [("deny", "denied"), ("fail", "failed"), ("filter", "failed"), ("inspect", "hidden")]);
    let first = &lines[0];
    assert_eq!((&first["plugin"], &first["mode"], &first["phase"]), (&"script:latest".into(), &"enforce".into(), &"request".into()));
    assert_eq!((&first["reason"], &first["rule"], &first["api_version"]), (&"no\nway".into(), &"p, 7".into(), &"1.41".into()));
    assert_eq!(first["targets"], serde_json::json!([{"kind": "container", "named": "box"}]));
    assert!(first["micros"].is_u64() && first["time"].is_string() && !first.to_string().contains("secret"));
    assert!(text.contains("{plugin=\"script:latest\",mode=\"enforce\",action=\"allow\",outcome=\"allowed\"} 1\n"), "{text}");
    assert!(text.contains("{plugin=\"\",mode=\"enforce\",action=\"inspect\",outcome=\"hidden\"} 1\n"), "{text}");
    assert!(text.contains("wharf_authz_log_lost_total 0\n"), "{text}");
}

#[tokio::test]
async fn one_that_is_monitored_is_not_obeyed() {
    let (lines, text) = lines(true, true).await;
    let told: Vec<_> = lines.iter().map(|l| (l["mode"].as_str().unwrap(), l["outcome"].as_str().unwrap())).collect();
    assert_eq!(told, [("monitor", "allowed"), ("monitor", "denied"), ("monitor", "failed"), ("enforce", "hidden")]);
    assert!(text.contains("mode=\"monitor\",action=\"deny\",outcome=\"denied\"} 1\n"), "{text}");
}

/// Never answers.
struct Silent;

#[async_trait]
impl Authorizer for Silent {
    fn name(&self) -> &str {
        "silent"
    }
    async fn judge(&self, _: &AuthzRequest) -> Result<Decision> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn nobody_waits_for_one_that_is_monitored() {
    let decisions = Arc::<Decisions>::default();
    let place = Monitored::new(Arc::new(Silent), "silent:latest", decisions.clone());
    for _ in 0..100 {
        assert_eq!(place.judge(&request("deny")).await.unwrap().verdict, Verdict::Allow);
    }
    let mut text = Exposition::default();
    decisions.expose(&mut text);
    let text = text.finish();
    assert!(text.contains("{plugin=\"silent:latest\",mode=\"monitor\",action=\"deny\",outcome=\"failed\"} 36\n"), "{text}");
}
