//! Volume drivers.

use super::{Answers, LOOP, World, list, trouble};
use std::time::Duration;
use wharf_spi::volume::{Answer, Publication, Volume, VolumeCapabilities, VolumeStatus};
use wharf_types::ErrorKind;

const PUBLISH: &str = "driver@0.1.0#publish";

fn volume() -> Volume {
    let text = str::to_owned;
    Volume { name: text("v"), id: text("1"), options: vec![(text("o"), text("x"))], labels: Vec::new() }
}

/// A plugin whose plan says this.
fn planning(fstype: &str, source: &str, option: &str, subdirectory: &str) -> Answers {
    let mut answers = Answers::of(&["volume"]);
    let mut text = |text: &str| list(answers.place(text.as_bytes()), text.len());
    let (fstype, source, option, subdirectory) = (text(fstype), text(source), text(option), text(subdirectory));
    let options = list(answers.place(&option), 1);
    // The result's case, the publication's at 8, the plan at 16: type, source, options, secrets, subdirectory, read-only.
    let plan = [&[0; 16][..], &fstype, &source, &options, &[0; 8], &subdirectory, &[1]].concat();
    answers.answer(PUBLISH, &plan)
}

#[tokio::test]
async fn everything_is_asked_and_answered() {
    let world = World::new();
    let mut answers = planning("nfs4", "server:/x", "soft", "a/b");
    let at = answers.place(b"wait");
    // ok(pending { again: 2000, message: "wait" })
    let pending = [&[0; 8][..], &[1], &[0; 7], &2_000u64.to_le_bytes(), &list(at, 4)].concat();
    let plugin = world.kind(&answers.answer("driver@0.1.0#create", &pending), "mount:nfs4").await;
    let driver = plugin.volume_driver().unwrap();
    assert_eq!(driver.capabilities().await.unwrap(), VolumeCapabilities::default());
    driver.validate(&[]).await.unwrap();
    let Answer::Pending(progress) = driver.create("k", &volume()).await.unwrap() else { panic!("done") };
    assert_eq!((progress.again, progress.message.as_str()), (Duration::from_secs(2), "wait"));
    assert_eq!(driver.remove("k", &volume()).await.unwrap(), Answer::Done);
    let Publication::Ready(plan) = driver.publish("k", &volume()).await.unwrap() else { panic!("pending") };
    assert_eq!((plan.fstype.as_str(), plan.source.as_str(), plan.subdirectory.as_str()), ("nfs4", "server:/x", "a/b"));
    assert!(plan.options == ["soft"] && plan.secrets.is_empty() && plan.read_only);
    assert_eq!(driver.unpublish("k", &volume()).await.unwrap(), Answer::Done);
    assert_eq!(driver.status(&volume()).await.unwrap(), VolumeStatus::default());
    assert_eq!(driver.reconcile(&[volume()]).await.unwrap(), [""; 0]);
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn a_file_system_needs_its_permission() {
    let world = World::new();
    let plugin = world.kind(&planning("ext4", "/dev/sda", "ro", ""), "mount:nfs4").await;
    let error = plugin.volume_driver().unwrap().publish("k", &volume()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Forbidden && error.message().ends_with("mount:ext4"), "{error}");
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn plans_that_are_none_do_not_come_through() {
    let world = World::new();
    for (fstype, source, option, subdirectory) in [
        ("", "s", "ro", ""),
        ("nfs4 ", "s", "ro", ""),
        ("nfs4", "a\0b", "ro", ""),
        ("nfs4", "s", "ro,suid", ""),
        ("nfs4", "s", "", ""),
        ("nfs4", "s", "ro", "../a"),
        ("nfs4", "s", "ro", "a/../b"),
        ("nfs4", "s", "ro", "/etc"),
    ] {
        let plugin = world.kind(&planning(fstype, source, option, subdirectory), "mount:nfs4").await;
        let text = trouble(&plugin, plugin.volume_driver().unwrap().publish("k", &volume()).await);
        assert!(text.starts_with("it answered nonsense: "), "{text}");
    }
    let mut answers = Answers::of(&["volume"]);
    let name = answers.place(b"other");
    let names = answers.place(&list(name, 5));
    let answers = answers.answer("driver@0.1.0#reconcile", &[&[0; 4][..], &list(names, 1)].concat());
    let plugin = world.kind(&answers, "").await;
    let text = trouble(&plugin, plugin.volume_driver().unwrap().reconcile(&[volume()]).await);
    assert!(text.contains("misses a volume \"other\""), "{text}");
}

#[tokio::test]
async fn a_driver_that_fails_fails_the_operation() {
    let world = World::new();
    for (body, expected) in [("unreachable", "it panicked (see its log)"), (LOOP, "it did not answer within 300ms")] {
        let plugin = world.kind(&Answers::of(&["volume"]).body("driver@0.1.0#create", body), "").await;
        let driver = plugin.volume_driver().unwrap();
        assert_eq!(trouble(&plugin, driver.create("k", &volume()).await), expected);
        assert_eq!(driver.remove("k", &volume()).await.unwrap(), Answer::Done);
    }
}

#[tokio::test]
async fn permissions_for_mounts_are_for_volume_drivers() {
    let world = World::new();
    let refusal = world.host.load(super::package(Answers::of(&["metrics"]).component(), "mount:nfs4")).await.err().unwrap();
    assert!(refusal.to_string().contains("mount:nfs4"), "{refusal}");
}
