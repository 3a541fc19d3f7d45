use super::*;
use crate::{
    compress::tests::{ALL, pack},
    store::tests::Fixture,
};
use wharf_types::Reference;

fn options() -> ImportOptions {
    ImportOptions {
        name: Some("new:1".parse::<Reference>().unwrap().into()),
        message: "Imported from -".into(),
        changes: vec!["CMD [\"x\"]".into(), "ENV A=b".into()],
        platform: Platform::default(),
        created: Timestamp::from_nanos(1_500_000_000),
    }
}

#[test]
fn any_packing_gives_one_layer_with_the_right_diff_id() {
    let tar = b"pretend this is a tar ".repeat(5000);
    for kind in ALL {
        let mut f = Fixture::new();
        let image = f.store.import(&pack(kind, &tar)[..], options(), &f.layers).unwrap();
        assert_eq!(image.layers[0].diff_id, Digest::of(&tar));
        assert_eq!((image.tags[0].to_string().as_str(), image.comment(), image.size), ("new:1", "Imported from -", tar.len() as u64));
        assert_eq!(image.config.config.cmd.as_deref(), Some(&["x".to_owned()][..]));
        assert_eq!(
            (image.created, image.config.config.env.as_slice()),
            (Some(Timestamp::from_nanos(1_500_000_000)), &["A=b".to_owned()][..])
        );
        f.reopen();
        assert_eq!(f.store.resolve("new:1").unwrap().id, image.id);
        assert_eq!(f.blobs(), 3);
    }
}

#[test]
fn failures_leave_nothing() {
    let f = Fixture::new();
    let bad = ImportOptions { changes: vec!["RUN x".into()], ..options() };
    let e = f.store.import(&b"x"[..], bad, &f.layers).unwrap_err();
    assert_eq!(e.message(), "RUN is not a valid change command");
    let packed = pack(Compression::Gzip, &b"some text ".repeat(1000));
    assert!(f.store.import(&packed[..packed.len() / 2], options(), &f.layers).is_err());
    assert_eq!((f.store.count(), f.blobs()), (0, 0));
    assert_eq!(std::fs::read_dir(f.tmp.path().join("blobs/tmp")).unwrap().count(), 0);
}
