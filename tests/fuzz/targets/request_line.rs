//! What comes before a request's body: version prefix, path, query string, and the filters in it, in their old and their new form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{collections::BTreeMap, sync::LazyLock};
use wharf_api::{
    Verb,
    fuzz::{Filters, Folding, read_query, split_version},
    routes,
};
use wharf_types::Timestamp;

static FOLDING: LazyLock<Folding> = LazyLock::new(|| Folding::of(routes()));

fuzz_target!(|text: &str| {
    let (version, rest) = split_version(text);
    assert!(text.ends_with(rest) && (version.is_some() || rest == text));
    for path in [text, rest] {
        for verb in Verb::ALL {
            let folded = FOLDING.fold(verb, path);
            assert_eq!(FOLDING.fold(verb, &folded), folded, "folding settles");
            // Only slashes change: a name cannot become another, nor a segment appear.
            assert_eq!(folded.replace("%2F", "/"), path.replace("%2F", "/"));
            assert!(folded.matches('/').count() <= path.matches('/').count());
        }
    }
    if let Ok(uri) = text.parse::<http::Uri>() {
        filters(&read_query(&uri));
    }
    filters(text);
});

fn filters(text: &str) {
    let Ok(filters) = Filters::parse(text) else { return };
    // Both forms of the same filters.
    let as_lists = serde_json::to_value(&filters).expect("JSON");
    let mut as_sets = as_lists.clone();
    for (_, values) in as_sets.as_object_mut().expect("an object") {
        let set: serde_json::Map<_, _> =
            values.as_array().expect("a list").iter().map(|v| (v.as_str().expect("text").to_owned(), true.into())).collect();
        *values = set.into();
    }
    assert_eq!(Filters::parse(&as_lists.to_string()).expect("the old form"), filters);
    let new = Filters::parse(&as_sets.to_string()).expect("the new form");
    let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    for key in ["label", "label!", "name", "until", "dangling"] {
        assert_eq!(new.has(key), filters.has(key));
        assert_eq!(new.labels(key, &labels), filters.labels(key, &labels));
        assert_eq!(new.exact(key, "x"), filters.exact(key, "x"));
        assert_eq!(new.prefix(key, "x"), filters.prefix(key, "x"));
        let _ = (filters.flag(key), filters.until(Timestamp::ZERO), filters.accept(&[key]));
    }
    assert_eq!(new.prune_labels(&labels), filters.prune_labels(&labels));
}
