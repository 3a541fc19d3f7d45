//! What a program runs on: an operating system, an architecture and its variant, in Go's words.

use std::{fmt, str::FromStr};
use wharf_types::{Error, Result};

/// `os[/architecture[/variant]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Always `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v8` and the like, or empty.
    pub variant: String,
}

impl Default for Platform {
    /// The host's.
    fn default() -> Self {
        Self { os: "linux".to_owned(), architecture: host_architecture().to_owned(), variant: String::new() }
    }
}

impl Platform {
    /// Checks the words.
    ///
    /// # Errors
    /// 400 for what is no word, and for another system than Linux.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Result<Self> {
        let named = [os, architecture, variant].map(str::to_ascii_lowercase);
        let [os, architecture, variant] = &named;
        let word = |w: &String| w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if architecture.is_empty() || !named.iter().all(word) {
            return Err(Error::invalid(format!("{:?} is an invalid platform", join(os, architecture, variant))));
        }
        if os != "linux" {
            return Err(Error::invalid(format!("operating system is not supported: {os}")));
        }
        Ok(Self { os: os.clone(), architecture: one_name(architecture).to_owned(), variant: variant.clone() })
    }

    /// What an image says of itself. One that names no architecture is taken for the host's.
    pub fn of_config(os: &str, architecture: &str, variant: &str) -> Self {
        let or = |own: &str, default: &str| if own.is_empty() { default.to_owned() } else { own.to_owned() };
        Self { os: or(os, "linux"), architecture: or(one_name(architecture), host_architecture()), variant: variant.to_owned() }
    }

    /// Whether something for `other` is what is wanted here: a platform without variant takes any.
    pub fn takes(&self, other: &Self) -> bool {
        let same = self.os == other.os && self.architecture == other.architecture;
        same && (self.variant.is_empty() || self.meant_variant() == other.meant_variant())
    }

    /// The variant; the usual one of its architecture goes without saying.
    fn meant_variant(&self) -> &str {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("amd64", "v1") | ("arm64", "8" | "v8") | ("arm", "7" | "v7") => "",
            (_, variant) => variant,
        }
    }
}

/// Go's name of an architecture that has several.
fn one_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" => "386",
        other => other,
    }
}

impl FromStr for Platform {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [os] => Self::new(os, host_architecture(), ""),
            [os, architecture] => Self::new(os, architecture, ""),
            [os, architecture, variant] => Self::new(os, architecture, variant),
            _ => Err(Error::invalid(format!("{text:?} is an invalid platform: it must be os[/arch[/variant]]"))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.os, &self.architecture, &self.variant))
    }
}

fn join(os: &str, architecture: &str, variant: &str) -> String {
    [os, architecture, variant].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join("/")
}

/// The host's architecture.
pub(crate) fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_printed() {
        let read = |text: &str| text.parse::<Platform>().map(|p| p.to_string()).map_err(|e| e.message().to_owned());
        assert_eq!(read("linux"), Ok(Platform::default().to_string()));
        assert_eq!(read("Linux/ARM/v7"), Ok("linux/arm/v7".to_owned()));
        assert_eq!((read("linux/x86_64"), read("linux/arm64/v8")), (Ok("linux/amd64".to_owned()), Ok("linux/arm64/v8".to_owned())));
        assert_eq!(read("windows/amd64").unwrap_err(), "operating system is not supported: windows");
        assert_eq!(read("linux/").unwrap_err(), "\"linux\" is an invalid platform");
        assert!(read("linux/a/b/c").is_err() && read("linux/a b").is_err());
    }

    #[test]
    fn a_variant_is_demanded_only_when_it_is_named() {
        let is = |wanted: &str, is: &str| wanted.parse::<Platform>().unwrap().takes(&is.parse().unwrap());
        assert!(is("linux/arm", "linux/arm/v7") && is("linux/arm/v7", "linux/arm/v7") && is("linux/arm64/v8", "linux/arm64"));
        assert!(!is("linux/arm/v6", "linux/arm/v7") && !is("linux/amd64", "linux/arm64"));
        assert!(Platform::default().takes(&Platform::of_config("", "", "")));
    }
}
