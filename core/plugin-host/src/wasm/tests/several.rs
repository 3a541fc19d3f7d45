//! Components of several kinds: instances of its own for each.

use super::{Answers, LOOP, World, package, request, trouble};
use crate::wasm::Kind;
use serde_json::Value;
use wharf_spi::logging::batch;
use wharf_types::ErrorKind;

#[tokio::test]
async fn each_kind_has_instances_of_its_own() {
    let world = World::new();
    let answers = Answers::of(&["authz", "log-transform", "ipam"]).body("transform@0.1.0#apply", LOOP);
    let described = world.host.describe(answers.component()).await.unwrap();
    assert_eq!(described.kinds, [Kind::Authz, Kind::LogTransform, Kind::Ipam]);
    let plugin = world.kind(&answers, "").await;
    assert!(plugin.log_driver().is_none() && plugin.metrics_sink().is_none() && plugin.volume_driver().is_none());
    let (transform, authorizer) = (plugin.log_transform().unwrap(), plugin.authorizer().unwrap());
    // A batch that hangs does not hold a decision up.
    let hangs = transform.apply(&[]);
    let judged = async {
        let verdict = authorizer.judge(&request()).await;
        (verdict, std::time::Instant::now())
    };
    let (hung, (verdict, then)) = tokio::join!(hangs, judged);
    verdict.unwrap();
    assert!(then.elapsed().as_millis() > 50, "it was answered while the other hung");
    assert_eq!(hung.unwrap_err().to_string(), "it did not answer within 300ms");
    plugin.ipam_driver().unwrap().reconcile(&[]).await.unwrap();

    let starts = |plugin: &super::Plugin| plugin.statistics().iter().find(|(name, _)| *name == "start").unwrap().1.seconds.count;
    assert_eq!(starts(&plugin), 3);
    plugin.reload(Value::Null).await.unwrap();
    assert_eq!(starts(&plugin), 6);
    plugin.stop().await;
    for error in [transform.apply(&[]).await.unwrap_err(), authorizer.judge(&request()).await.unwrap_err()] {
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "it is stopped"));
    }
}

#[tokio::test]
async fn a_reload_that_one_kind_refuses_changes_nothing() {
    let world = World::new();
    let answers = Answers::of(&["log-transform", "ipam"]).body("lifecycle@0.1.0#reload", "unreachable");
    let plugin = world.kind(&answers, "").await;
    assert!(plugin.reload(Value::Null).await.unwrap_err().to_string().contains("panicked"));
    assert_eq!(batch::count(&plugin.log_transform().unwrap().apply(&[]).await.unwrap()), Ok(0));
    plugin.ipam_driver().unwrap().reconcile(&[]).await.unwrap();
}

#[tokio::test]
async fn failures_of_any_kind_add_up() {
    let world = World::new();
    let answers = Answers::of(&["log-transform", "ipam"]).body("transform@0.1.0#apply", "unreachable");
    let plugin = world.host.load(package(answers.component(), "")).await.unwrap();
    for _ in 0..5 {
        trouble(&plugin, plugin.log_transform().unwrap().apply(&[]).await);
    }
    let error = plugin.ipam_driver().unwrap().reconcile(&[]).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("quarantined"), "{error}");
}
