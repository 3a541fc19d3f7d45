//! Casbin's matching functions, with their patterns compiled once.
//!
//! The patterns mean exactly what they mean to Casbin, surprises included: in `keyMatch2` and its like everything but the
//! placeholders and `/*` is a regular expression, and `keyMatch` ignores what follows the first `*`.

use regex::Regex;
use regex_syntax::{
    ParserBuilder,
    hir::{Look, literal::Extractor},
};
use std::{
    borrow::Cow,
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    KeyMatch,
    KeyMatch2,
    KeyMatch3,
    KeyMatch4,
    KeyMatch5,
    KeyGet,
    KeyGet2,
    KeyGet3,
    RegexMatch,
    GlobMatch,
    IpMatch,
}

impl Function {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "keyMatch" => Self::KeyMatch,
            "keyMatch2" => Self::KeyMatch2,
            "keyMatch3" => Self::KeyMatch3,
            "keyMatch4" => Self::KeyMatch4,
            "keyMatch5" => Self::KeyMatch5,
            "keyGet" => Self::KeyGet,
            "keyGet2" => Self::KeyGet2,
            "keyGet3" => Self::KeyGet3,
            "regexMatch" => Self::RegexMatch,
            "globMatch" => Self::GlobMatch,
            "ipMatch" => Self::IpMatch,
            _ => return None,
        })
    }

    /// The key, the pattern, and for some the name of a placeholder.
    pub fn arity(self) -> usize {
        match self {
            Self::KeyGet2 | Self::KeyGet3 => 3,
            _ => 2,
        }
    }

    /// Whether it answers with a text instead of yes or no.
    pub fn gets(self) -> bool {
        matches!(self, Self::KeyGet | Self::KeyGet2 | Self::KeyGet3)
    }

    /// Whether [`Patterns::beginning`] knows of its patterns, and no text makes it fail.
    pub fn begins(self) -> bool {
        !self.gets() && self != Self::IpMatch
    }
}

/// A pattern of one function.
#[derive(Clone, Debug)]
enum Pattern {
    Literal(String),
    Prefix(String),
    Regex(Regex),
    /// The regular expression with a group for each placeholder of these names.
    Groups(Regex, Vec<String>),
    Glob(globset::GlobMatcher),
    Address(IpAddr),
    Network(IpAddr, u8),
}

impl Pattern {
    /// As [`Patterns::beginning`].
    fn beginning(&self) -> Vec<u8> {
        match self {
            Self::Literal(text) | Self::Prefix(text) => text.as_bytes().to_vec(),
            Self::Regex(regex) | Self::Groups(regex, _) => beginning(regex.as_str()),
            Self::Glob(glob) => beginning(glob.glob().regex()),
            Self::Address(_) | Self::Network(..) => Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Prepared {
    pattern: Pattern,
    beginning: Vec<u8>,
}

/// The compiled patterns of a policy.
#[derive(Debug)]
pub(crate) struct Patterns {
    prepared: HashMap<Function, HashMap<String, Prepared>>,
    colons: Regex,
    colon_names: Regex,
    braces: Regex,
    brace_names: Regex,
}

impl Patterns {
    pub fn new() -> Result<Self, String> {
        let regex = |text: &str| Regex::new(text).map_err(|e| e.to_string());
        Ok(Self {
            prepared: HashMap::new(),
            colons: regex(":[^/]*")?,
            colon_names: regex(":[^/]+")?,
            braces: regex(r"\{[^/]*\}")?,
            brace_names: regex(r"\{[^/]+?\}")?,
        })
    }

    /// Compiles a pattern for later calls.
    pub fn prepare(&mut self, function: Function, pattern: &str) -> Result<(), String> {
        if self.prepared(function, pattern).is_none() {
            let compiled = self.compile(function, pattern)?;
            let prepared = Prepared { beginning: compiled.beginning(), pattern: compiled };
            self.prepared.entry(function).or_default().insert(pattern.to_owned(), prepared);
        }
        Ok(())
    }

    fn prepared(&self, function: Function, pattern: &str) -> Option<&Prepared> {
        self.prepared.get(&function)?.get(pattern)
    }

    /// The pattern, which was prepared unless it comes out of the request or a computation.
    fn find(&self, function: Function, pattern: &str) -> Result<Cow<'_, Pattern>, String> {
        match self.prepared(function, pattern) {
            Some(prepared) => Ok(Cow::Borrowed(&prepared.pattern)),
            None => self.compile(function, pattern).map(Cow::Owned),
        }
    }

    fn compile(&self, function: Function, pattern: &str) -> Result<Pattern, String> {
        let whole = |text: &str| Regex::new(&format!("^{text}$")).map(Pattern::Regex);
        let paths = pattern.replace("/*", "/.*");
        let compiled = match function {
            Function::KeyMatch | Function::KeyGet => Ok(match pattern.split_once('*') {
                Some((prefix, _)) => Pattern::Prefix(prefix.to_owned()),
                None => Pattern::Literal(pattern.to_owned()),
            }),
            Function::KeyMatch2 => whole(&self.colons.replace_all(&paths, "[^/]+")),
            Function::KeyMatch3 => whole(&self.braces.replace_all(&paths, "[^/]+")),
            Function::KeyMatch5 => whole(&self.brace_names.replace_all(&paths, "[^/]+")),
            Function::KeyGet2 => groups(&self.colon_names, &paths, "([^/]+)", |name| name.get(1..)),
            Function::KeyMatch4 => groups(&self.brace_names, &paths, "([^/]+)", |name| name.get(1..name.len() - 1)),
            Function::KeyGet3 => groups(&self.brace_names, &paths, "([^/]+?)", |name| name.get(1..name.len() - 1)),
            Function::RegexMatch => Regex::new(pattern).map(Pattern::Regex),
            Function::GlobMatch => {
                let glob = globset::GlobBuilder::new(pattern).literal_separator(true).build();
                return glob.map(|g| Pattern::Glob(g.compile_matcher())).map_err(|e| e.to_string());
            }
            Function::IpMatch => return network(pattern),
        };
        compiled.map_err(|e| format!("the pattern `{pattern}`: {e}"))
    }

    /// Whether `key` matches.
    pub fn matches(&self, function: Function, key: &str, pattern: &str) -> Result<bool, String> {
        let key = if function == Function::KeyMatch5 { key.split('?').next().unwrap_or_default() } else { key };
        Ok(match self.find(function, pattern)?.as_ref() {
            Pattern::Literal(text) => key == text,
            Pattern::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Pattern::Regex(regex) => regex.is_match(key),
            Pattern::Glob(glob) => glob.is_match(key),
            Pattern::Groups(regex, names) => regex.captures(key).is_some_and(|found| consistent(&found, names)),
            Pattern::Address(address) => same(parse_ip(key)?, *address),
            Pattern::Network(network, bits) => within(parse_ip(key)?, *network, *bits),
        })
    }

    /// What every text begins with that matches; nothing where that cannot be told, as of a pattern that was not prepared.
    pub fn beginning(&self, function: Function, pattern: &str) -> &[u8] {
        self.prepared(function, pattern).map_or(&[], |prepared| &prepared.beginning)
    }

    /// What stands in `key` for the placeholder `name`, or for the `*` of `keyGet`; nothing when it does not match.
    pub fn get<'k>(&self, function: Function, key: &'k str, pattern: &str, name: &str) -> Result<&'k str, String> {
        Ok(match self.find(function, pattern)?.as_ref() {
            Pattern::Prefix(prefix) => key.strip_prefix(prefix.as_str()).unwrap_or_default(),
            Pattern::Groups(regex, names) => {
                let group = names.iter().position(|n| n == name).map(|at| at + 1);
                let found = group.and_then(|group| regex.captures(key)?.get(group));
                found.map_or("", |m| m.as_str())
            }
            _ => "",
        })
    }
}

/// What every match of a regular expression begins with, when it must be at the beginning of the text.
fn beginning(regex: &str) -> Vec<u8> {
    // Globs are expressions over bytes.
    let Ok(regex) = ParserBuilder::new().utf8(false).build().parse(regex) else { return Vec::new() };
    if !regex.properties().look_set_prefix().contains(Look::Start) {
        return Vec::new();
    }
    Extractor::new().extract(&regex).longest_common_prefix().unwrap_or_default().to_vec()
}

/// Each placeholder becomes `group`; braces that are none are themselves.
fn groups(placeholder: &Regex, pattern: &str, group: &str, name: fn(&str) -> Option<&str>) -> Result<Pattern, regex::Error> {
    let names = placeholder.find_iter(pattern).filter_map(|m| name(m.as_str()).map(str::to_owned)).collect();
    let text = placeholder.replace_all(pattern, group);
    let text = if group.contains('?') { text.replace('{', "\\{") } else { text.into_owned() };
    Ok(Pattern::Groups(Regex::new(&format!("^{text}$"))?, names))
}

/// Whether placeholders of the same name stand for the same.
fn consistent(found: &regex::Captures<'_>, names: &[String]) -> bool {
    let value = |at: usize| found.get(at + 1).map(|m| m.as_str());
    names.iter().enumerate().all(|(at, name)| names.iter().position(|n| n == name).is_none_or(|first| value(first) == value(at)))
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address"))
}

fn network(text: &str) -> Result<Pattern, String> {
    let Some((address, bits)) = text.split_once('/') else { return parse_ip(text).map(Pattern::Address) };
    let address = parse_ip(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits.parse() {
        Ok(bits) if bits <= most => Ok(Pattern::Network(address, bits)),
        _ => Err(format!("`{text}` is not a network")),
    }
}

fn same(key: IpAddr, address: IpAddr) -> bool {
    match (key, address) {
        (IpAddr::V4(key), IpAddr::V6(address)) => address.to_ipv4() == Some(key),
        _ => key == address,
    }
}

fn within(key: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (key, network) {
        (IpAddr::V4(key), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - bits).unwrap_or(0);
            key.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(key), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - bits).unwrap_or(0);
            key.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(function: &str, key: &str, pattern: &str) -> bool {
        Patterns::new().unwrap().matches(Function::named(function).unwrap(), key, pattern).unwrap()
    }

    fn get(function: &str, key: &str, pattern: &str, name: &str) -> String {
        Patterns::new().unwrap().get(Function::named(function).unwrap(), key, pattern, name).unwrap().to_owned()
    }

    #[test]
    fn keys() {
        for (function, key, pattern, expected) in [
            ("keyMatch", "/foo/bar", "/foo/*", true),
            ("keyMatch", "/foo", "/foo/*", false),
            ("keyMatch", "/foo/", "/foo/*x", true),
            ("keyMatch2", "/alice/all", "/:id/all", true),
            ("keyMatch2", "/alice/", "/:id/all", false),
            ("keyMatch3", "/proxy/1/a/b", "/proxy/{id}/*", true),
            ("keyMatch4", "/parent/1/child/1", "/parent/{id}/child/{id}", true),
            ("keyMatch4", "/parent/1/child/2", "/parent/{id}/child/{id}", false),
            ("keyMatch5", "/parent/child?status=1", "/parent/*", true),
            ("regexMatch", "xGETx", "GET|POST", true),
            ("globMatch", "/prefix/sub/foo", "/prefix/*", false),
            ("globMatch", "/prefix/sub/foo", "/prefix/**", true),
            ("globMatch", "web-1", "{web,db}-[0-9]", true),
            ("ipMatch", "192.168.2.123", "192.168.2.0/24", true),
            ("ipMatch", "192.168.3.1", "192.168.2.0/24", false),
            ("ipMatch", "10.0.0.1", "0.0.0.0/0", true),
            ("ipMatch", "fe80::1", "fe80::/10", true),
            ("ipMatch", "10.0.0.1", "::ffff:10.0.0.1", true),
        ] {
            assert_eq!(matches(function, key, pattern), expected, "{function} {key} {pattern}");
        }
    }

    #[test]
    fn parts_of_keys() {
        assert_eq!(get("keyGet", "/foo/bar/foo", "/foo/*", ""), "bar/foo");
        assert_eq!(get("keyGet2", "/res1/x", "/:a/:b", "b"), "x");
        assert_eq!(get("keyGet2", "/res1", "/:a/:b", "b"), "");
        assert_eq!(get("keyGet3", "project/proj_p1_admin/", "project/proj_{project}_admin/", "project"), "p1");
    }

    #[test]
    fn beginnings() {
        let mut patterns = Patterns::new().unwrap();
        for (function, pattern, expected) in [
            ("keyMatch", "/foo/*x", "/foo/"),
            ("keyMatch", "/foo", "/foo"),
            ("keyMatch2", "/foo/:id/bar", "/foo/"),
            ("keyMatch2", "/a|/b", ""),
            ("keyMatch3", "/foo/{id}", "/foo/"),
            ("keyMatch4", "/foo/{id}", "/foo/"),
            ("keyMatch5", "/foo/{id}", "/foo/"),
            ("regexMatch", "^web-[0-9]+$", "web-"),
            ("regexMatch", "^(web-1|web-2)", "web-"),
            ("regexMatch", r"^container\.(list|inspect)$", "container."),
            ("regexMatch", "web", ""),
            ("regexMatch", "^web|db", ""),
            ("regexMatch", "(?i)^web", ""),
            ("regexMatch", "(?m)^web", ""),
            ("globMatch", "web-*", "web-"),
            ("globMatch", "/srv/**", "/srv/"),
            ("globMatch", "/srv/**/x", "/srv/"),
            ("globMatch", "{web,db}-1", ""),
            ("globMatch", "**/x", ""),
        ] {
            let function = Function::named(function).unwrap();
            patterns.prepare(function, pattern).unwrap();
            assert_eq!(str::from_utf8(patterns.beginning(function, pattern)).unwrap(), expected, "{function:?} {pattern}");
        }
    }

    #[test]
    fn mistakes() {
        let mut patterns = Patterns::new().unwrap();
        for (function, pattern) in [
            (Function::RegexMatch, "("),
            (Function::KeyMatch2, "/["),
            (Function::GlobMatch, "[a"),
            (Function::IpMatch, "10.0.0.0/33"),
            (Function::IpMatch, "localhost"),
        ] {
            assert!(patterns.prepare(function, pattern).is_err(), "{pattern}");
        }
        assert!(patterns.matches(Function::IpMatch, "x", "10.0.0.1").is_err());
    }
}
