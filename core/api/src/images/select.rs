//! Which images a list shows.

use crate::filters::Filters;
use regex::Regex;
use std::sync::Arc;
use wharf_engine::Images;
use wharf_engine::images::Image;
use wharf_images::no_such_image;
use wharf_types::{Digest, Reference, Result, Timestamp};

/// The keys of `filters`.
pub const KEYS: [&str; 6] = ["dangling", "label", "before", "since", "reference", "until"];

/// Filters, checked and with their names resolved.
pub struct Selection {
    filters: Filters,
    dangling: Option<bool>,
    references: Vec<Regex>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Selection {
    /// Checks values and looks images up among those that are `seen`.
    ///
    /// # Errors
    /// 400 for a bad value; 404 for an unknown image in `before` or `since`.
    pub fn resolve(filters: Filters, images: &Images, seen: &[Arc<Image>], now: Timestamp) -> Result<Self> {
        let created = |key: &str| filters.get(key).first().map(|n| known(images.get(n)?, n, seen).map(|i| created(&i))).transpose();
        let (before, since) = (created("before")?, created("since")?);
        let checked = Self::checked(filters, now)?;
        let before = [before, checked.before].into_iter().flatten().min();
        Ok(Self { before, since, ..checked })
    }

    /// Checks values of filters that name no image.
    ///
    /// # Errors
    /// 400 for a bad value.
    pub fn checked(filters: Filters, now: Timestamp) -> Result<Self> {
        Ok(Self {
            dangling: filters.flag("dangling")?,
            references: filters.get("reference").iter().filter_map(|p| glob(p)).collect(),
            before: filters.until(now)?,
            since: None,
            filters,
        })
    }

    /// The references to show of an image that is selected; none for one that is not.
    pub fn names(&self, image: &Image) -> Option<(Vec<String>, Vec<String>)> {
        let untagged = image.tags.is_empty() && image.digests.is_empty();
        let dangling = match self.dangling {
            None => true,
            Some(true) => image.tags.is_empty(),
            Some(false) => !untagged,
        };
        let at = created(image);
        let in_time = self.before.is_none_or(|b| at < b) && self.since.is_none_or(|s| at > s);
        let labels = image.config.config.labels.as_ref();
        let labelled = !self.filters.has("label") || labels.is_some_and(|l| self.filters.labels("label", l));
        if !(dangling && in_time && labelled) {
            return None;
        }
        let shown = |all: &[Reference]| all.iter().filter(|r| self.shows(r)).map(ToString::to_string).collect::<Vec<_>>();
        let (tags, digests) = (shown(&image.tags), shown(&image.digests));
        (!self.filters.has("reference") || !tags.is_empty() || !digests.is_empty()).then_some((tags, digests))
    }

    fn shows(&self, reference: &Reference) -> bool {
        let (full, name) = (reference.to_string(), reference.familiar_name());
        !self.filters.has("reference") || self.references.iter().any(|p| p.is_match(&full) || p.is_match(&name))
    }
}

/// The image that `name` was found to mean, unless it is not seen.
fn known(found: Arc<Image>, name: &str, seen: &[Arc<Image>]) -> Result<Arc<Image>> {
    if seen.iter().any(|image| image.id == found.id) { Ok(found) } else { Err(no_such_image(name)) }
}

/// When an image was made; at the beginning of time when that is unknown.
pub fn created(image: &Image) -> Timestamp {
    image.created.unwrap_or(Timestamp::ZERO)
}

/// Whether untagged `image` only serves as the parent of another.
pub fn is_intermediate(image: &Image, parents: &std::collections::HashSet<Digest>) -> bool {
    image.tags.is_empty() && image.digests.is_empty() && parents.contains(&image.id)
}

/// A shell pattern whose `*` and `?` stop at slashes; none when it is broken (it matches nothing then).
fn glob(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' => text.push('['),
            ']' => text.push(']'),
            '^' | '-' => text.push(c),
            '\\' => text.push_str(&regex::escape(&chars.next()?.to_string())),
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    Regex::new(&format!("{text}$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::image;

    fn names(filters: &str, tags: &[&str]) -> Option<Vec<String>> {
        let now = Timestamp::from_nanos(2_000_000_000_000_000_000);
        Selection::checked(Filters::parse(filters).unwrap(), now).unwrap().names(&image(tags)).map(|(tags, _)| tags)
    }

    #[test]
    fn references_are_shell_patterns() {
        let tags = ["busybox:1", "busybox:2", "ghcr.io/a/b:x"];
        assert_eq!(names(r#"{"reference":["busybox"]}"#, &tags).unwrap(), ["busybox:1", "busybox:2"]);
        assert_eq!(names(r#"{"reference":["*:2"]}"#, &tags).unwrap(), ["busybox:2"]);
        assert_eq!(names(r#"{"reference":["ghcr.io/*/b","busy[a-c]ox:1"]}"#, &tags).unwrap(), ["busybox:1", "ghcr.io/a/b:x"]);
        for none in ["*/busybox", "busy", "ghcr.io/*", "[", "busybo?:3"] {
            assert_eq!(names(&serde_json::json!({ "reference": [none] }).to_string(), &tags), None, "{none}");
        }
    }

    #[test]
    fn what_is_not_seen_is_not_there() {
        let image = Arc::new(image(&["a:1"]));
        assert!(known(image.clone(), "a:1", std::slice::from_ref(&image)).is_ok());
        assert_eq!(known(image, "a", &[]).unwrap_err().message(), "No such image: a:latest");
    }

    #[test]
    fn dangling_and_labels() {
        assert!(names(r#"{"dangling":["true"]}"#, &[]).is_some() && names(r#"{"dangling":["true"]}"#, &["a:b"]).is_none());
        assert!(names(r#"{"dangling":["0"]}"#, &[]).is_none() && names(r#"{"dangling":["0"]}"#, &["a:b"]).is_some());
        assert!(names(r#"{"label":["maintainer=me"]}"#, &[]).is_some() && names(r#"{"label":["x"]}"#, &[]).is_none());
        assert!(names(r#"{"until":["1h"]}"#, &[]).is_some() && names(r#"{"until":["1000000000"]}"#, &[]).is_none());
    }
}
