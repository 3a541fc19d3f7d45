//! Names, digests, references, signals and moments: parsed or refused, and what was parsed is printed so that it is parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{fmt::Display, str::FromStr};
use wharf_types::{ContainerId, ContainerName, Digest, ExecId, GoDuration, Reference, Signal, Timestamp};

fuzz_target!(|text: &str| {
    same::<ContainerId>(text);
    same::<ExecId>(text);
    same::<Digest>(text);
    same::<ContainerName>(text);
    same::<Timestamp>(text);
    same::<GoDuration>(text);
    let _ = text.parse::<Signal>();
    let _ = Timestamp::parse_moment(text, Timestamp::ZERO);
    if let Some(r) = same::<Reference>(text) {
        assert!(!r.domain().is_empty() && !r.path().is_empty());
        assert!(!r.path().starts_with('/') && !r.path().split('/').any(|part| part.is_empty() || part == "." || part == ".."));
        let latest = r.clone().or_latest();
        assert!(latest.tag().is_some() || latest.digest().is_some());
        assert_eq!(latest.to_string().parse::<Reference>().ok(), Some(latest));
        if let Ok(tagged) = r.with_tag("x-1") {
            assert_eq!((tagged.path(), tagged.tag(), tagged.digest()), (r.path(), Some("x-1"), None));
        }
        assert_eq!(
            r.familiar_name().parse::<Reference>().ok().map(|n| (n.domain().to_owned(), n.path().to_owned())),
            Some((r.domain().to_owned(), r.path().to_owned()))
        );
    }
});

fn same<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    let printed = value.to_string();
    assert_eq!(printed.parse::<T>().ok().as_ref(), Some(&value), "{text:?} is printed as {printed:?}");
    Some(value)
}
