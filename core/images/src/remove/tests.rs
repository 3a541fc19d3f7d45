use super::*;
use crate::store::tests::Fixture;
use wharf_types::ErrorKind;

fn unused(_: &Digest) -> Usage {
    Usage::None
}

fn container() -> ContainerId {
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn conflict(f: &Fixture, text: &str, force: bool, usage: &Usage) -> String {
    let before = (f.store.count(), f.blobs());
    let e = f.store.delete(text, force, false, &|_| usage.clone()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Conflict);
    assert_eq!((f.store.count(), f.blobs()), before);
    e.message().to_owned()
}

#[test]
fn the_last_name_takes_the_image_along() {
    let mut f = Fixture::new();
    let a = f.add("a", &["base", "a"], &["a:1", "a:2"]);
    let b = f.add("b", &["base", "b"], &["b:1"]);
    let done = f.store.delete("a:1", false, false, &unused).unwrap();
    assert_eq!(done, Deleted { events: vec![DeleteEvent::Untagged("a:1".into())], chains: vec![] });
    let done = f.store.delete("docker.io/library/a:2", false, false, &unused).unwrap();
    assert_eq!(done.events, [DeleteEvent::Untagged("a:2".into()), DeleteEvent::Deleted(a.id.clone())]);
    assert_eq!(done.chains, [a.chain_ids()[1].clone()]);
    assert_eq!(f.blobs(), 4, "config, manifest and two layers of the other image");
    f.reopen();
    assert_eq!(f.store.list()[0].id, b.id);
    assert_eq!(f.store.delete("a:2", false, false, &unused).unwrap_err().message(), "No such image: a:2");
    let done = f.store.delete(b.id.short(), false, false, &unused).unwrap();
    assert_eq!(done.events, [DeleteEvent::Untagged("b:1".into()), DeleteEvent::Deleted(b.id.clone())]);
    assert_eq!((done.chains, f.blobs(), f.store.count()), (b.chain_ids(), 0, 0));
}

#[test]
fn conflicts_in_docker_words() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &["a:1"]);
    let short = a.id.short();
    let (running, stopped) = (Usage::Running(Some(container())), Usage::Stopped(Some(container())));
    for usage in [&running, &stopped] {
        assert_eq!(
            conflict(&f, "a:1", false, usage),
            format!(
                "conflict: unable to remove repository reference \"a:1\" (must force) - container 0123456789ab is using its referenced image {short}"
            )
        );
    }
    for force in [false, true] {
        assert_eq!(
            conflict(&f, short, force, &running),
            format!("conflict: unable to delete {short} (cannot be forced) - image is being used by running container 0123456789ab")
        );
    }
    assert_eq!(
        conflict(&f, short, false, &stopped),
        format!("conflict: unable to delete {short} (must be forced) - image is being used by stopped container 0123456789ab")
    );
    for (text, usage, words) in [
        ("a:1", Usage::Stopped(None), "(must force) - a container is using its referenced image"),
        (short, Usage::Running(None), "image is being used by a running container"),
        (short, Usage::Stopped(None), "image is being used by a stopped container"),
    ] {
        let told = conflict(&f, text, false, &usage);
        assert!(told.contains(words), "{told}");
    }
    f.store.tag(&a.id, "b:1".parse::<Reference>().unwrap()).unwrap();
    assert_eq!(
        conflict(&f, short, false, &Usage::None),
        format!("conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories")
    );
    let done = f.store.delete(short, true, false, &|_| stopped.clone()).unwrap();
    assert_eq!(done.events.len(), 3);
}

#[test]
fn forcing_the_last_name_of_a_running_image_only_untags() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &["a:1"]);
    let done = f.store.delete("a:1", true, false, &|_| Usage::Running(None)).unwrap();
    assert_eq!(done.events, [DeleteEvent::Untagged("a:1".into())]);
    assert!(f.store.get(&a.id).unwrap().tags.is_empty());
}

#[test]
fn a_name_among_others_goes_although_the_image_is_used() {
    let f = Fixture::new();
    f.add("a", &["1"], &["a:1", "a:2"]);
    let done = f.store.delete("a:1", false, false, &|_| Usage::Running(None)).unwrap();
    assert_eq!(done.events, [DeleteEvent::Untagged("a:1".into())]);
}

#[test]
fn digests_go_with_the_last_tag_of_their_repository() {
    let f = Fixture::new();
    let a = f.add("a", &["1"], &["a:1"]);
    let digest: Reference = format!("a@{}", a.manifest).parse().unwrap();
    f.store.tag(&a.id, &digest).unwrap();
    assert_eq!(f.store.get(&a.id).unwrap().digests, std::slice::from_ref(&digest));
    assert_eq!(f.store.resolve(&format!("a:whatever@{}", a.manifest)).unwrap().id, a.id);
    let done = f.store.delete("a:1", false, false, &unused).unwrap();
    let expected = [DeleteEvent::Untagged("a:1".into()), DeleteEvent::Untagged(digest.to_string()), DeleteEvent::Deleted(a.id.clone())];
    assert_eq!(done.events, expected);
}

#[test]
fn parents() {
    let mut f = Fixture::new();
    let (a, b, c) = (f.add("a", &["1"], &[]), f.add("b", &["1", "2"], &[]), f.add("c", &["1", "2", "3"], &["c:1"]));
    f.set_parent(&c, &b);
    f.set_parent(&b, &a);
    assert_eq!(
        conflict(&f, b.id.short(), true, &Usage::None),
        format!("conflict: unable to delete {} (cannot be forced) - image has dependent child images", b.id.short())
    );
    let done = f.store.delete("c:1", false, false, &|id| if *id == a.id { Usage::Stopped(None) } else { Usage::None }).unwrap();
    let expected = [DeleteEvent::Untagged("c:1".into()), DeleteEvent::Deleted(c.id.clone()), DeleteEvent::Deleted(b.id.clone())];
    assert_eq!(done.events, expected);
    assert_eq!(done.chains, c.chain_ids()[1..]);
    assert_eq!(f.store.list()[0].id, a.id);
}

#[test]
fn noprune_spares_parents() {
    let mut f = Fixture::new();
    let (a, b) = (f.add("a", &["1"], &[]), f.add("b", &["1", "2"], &["b:1"]));
    f.set_parent(&b, &a);
    f.store.delete("b:1", false, true, &unused).unwrap();
    assert_eq!(f.store.list()[0].id, a.id);
}
