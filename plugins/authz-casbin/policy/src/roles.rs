//! Who has which role: the relation of one role definition, followed to its end.
//!
//! Roles have roles. A relation may go in circles, and has no greatest depth. With a domain in the definition, relations of
//! different domains know nothing of each other.

use crate::{
    beginnings::Beginnings,
    pattern::{Function, Patterns},
};
use std::collections::{BTreeSet, HashMap};

/// The domain of definitions without one.
const NO_DOMAIN: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Roles {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// By domain.
    relations: HashMap<u32, Relation>,
    /// The domains where they are patterns, by what all begin with that match them.
    domains: Beginnings<BTreeSet<u32>>,
    /// Compares a name with the patterns among the names.
    pub role_matching: Option<Function>,
    /// The same for domains.
    pub domain_matching: Option<Function>,
}

#[derive(Debug, Default)]
struct Relation {
    links: HashMap<u32, Vec<u32>>,
    /// The names in it where they are patterns, by what all begin with that match them.
    patterns: Beginnings<BTreeSet<u32>>,
}

/// All roles that somebody has, by number and sorted; not the name itself when it is unknown.
#[derive(Debug, Default)]
pub(crate) struct Reach(Vec<u32>);

impl Roles {
    pub fn matching(role_matching: Option<Function>, domain_matching: Option<Function>) -> Self {
        Self { role_matching, domain_matching, ..Self::default() }
    }

    /// What of the names is a pattern has been prepared.
    pub fn add(&mut self, from: &str, to: &str, domain: Option<&str>, patterns: &Patterns) {
        let (from, to) = ((self.number(from), from), (self.number(to), to));
        let of = domain.map_or(NO_DOMAIN, |d| self.number(d));
        if let (Some(domain), Some(function)) = (domain, self.domain_matching) {
            self.domains.at(patterns.beginning(function, domain).to_vec()).insert(of);
        }
        let relation = self.relations.entry(of).or_default();
        relation.links.entry(from.0).or_default().push(to.0);
        if let Some(function) = self.role_matching {
            for (number, name) in [from, to] {
                relation.patterns.at(patterns.beginning(function, name).to_vec()).insert(number);
            }
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(NO_DOMAIN);
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }

    /// All roles of `name`, with the patterns that it matches.
    pub fn reach(&self, name: &str, domain: Option<&str>, patterns: &Patterns) -> Result<Reach, String> {
        let relations = self.relations(domain, patterns)?;
        let mut reached: Vec<u32> = Vec::new();
        let mut waiting: Vec<u32> = self.numbers.get(name).copied().into_iter().collect();
        self.matched(name, &relations, patterns, &mut waiting)?;
        while let Some(number) = waiting.pop() {
            if let Err(at) = reached.binary_search(&number) {
                reached.insert(at, number);
                waiting.extend(relations.iter().filter_map(|r| r.links.get(&number)).flatten());
                self.matched(self.name(number), &relations, patterns, &mut waiting)?;
            }
        }
        Ok(Reach(reached))
    }

    fn relations(&self, domain: Option<&str>, patterns: &Patterns) -> Result<Vec<&Relation>, String> {
        let mut domains: BTreeSet<u32> = domain.map_or(Some(NO_DOMAIN), |d| self.numbers.get(d).copied()).into_iter().collect();
        if let (Some(domain), Some(function)) = (domain, self.domain_matching) {
            for number in self.domains.of(domain.as_bytes()).flatten() {
                if patterns.matches(function, domain, self.name(*number))? {
                    domains.insert(*number);
                }
            }
        }
        Ok(domains.iter().filter_map(|number| self.relations.get(number)).collect())
    }

    /// The names in these relations that are patterns which `name` matches.
    fn matched(&self, name: &str, relations: &[&Relation], patterns: &Patterns, found: &mut Vec<u32>) -> Result<(), String> {
        let Some(function) = self.role_matching else { return Ok(()) };
        for number in relations.iter().flat_map(|r| r.patterns.of(name.as_bytes())).flatten() {
            if patterns.matches(function, name, self.name(*number))? {
                found.push(*number);
            }
        }
        Ok(())
    }

    /// Whether `role` is the name itself or within the reach of it.
    pub fn has(&self, name: &str, reach: &Reach, role: &str, patterns: &Patterns) -> Result<bool, String> {
        if name == role || self.numbers.get(role).is_some_and(|n| reach.0.binary_search(n).is_ok()) {
            return Ok(true);
        }
        let Some(function) = self.role_matching else { return Ok(false) };
        for known in std::iter::once(name).chain(self.named(reach)) {
            if patterns.matches(function, known, role)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of a reach.
    pub fn named<'r>(&'r self, reach: &'r Reach) -> impl Iterator<Item = &'r str> {
        reach.0.iter().map(|number| self.name(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::select};

    fn has(roles: &Roles, name: &str, role: &str, domain: Option<&str>) -> bool {
        let patterns = Patterns::new().unwrap();
        let reach = roles.reach(name, domain, &patterns).unwrap();
        roles.has(name, &reach, role, &patterns).unwrap()
    }

    #[test]
    fn circles_and_depth() {
        let patterns = Patterns::new().unwrap();
        let mut roles = Roles::default();
        for i in 0..1000 {
            roles.add(&format!("r{i}"), &format!("r{}", i + 1), None, &patterns);
        }
        roles.add("r1000", "r0", None, &patterns);
        assert!(has(&roles, "r1", "r0", None));
        assert!(!has(&roles, "r1", "x", None));
        assert!(has(&roles, "x", "x", None), "everyone is himself");
    }

    #[test]
    fn domains_are_apart() {
        let patterns = Patterns::new().unwrap();
        let mut roles = Roles::default();
        roles.add("alice", "admin", Some("one"), &patterns);
        roles.add("admin", "root", Some("two"), &patterns);
        assert!(has(&roles, "alice", "admin", Some("one")));
        assert!(!has(&roles, "alice", "admin", Some("two")));
        assert!(!has(&roles, "alice", "root", Some("one")));
        assert!(!has(&roles, "alice", "admin", None));
    }

    #[test]
    fn patterns_among_names() {
        let patterns = Patterns::new().unwrap();
        let mut roles = Roles::matching(Some(Function::KeyMatch2), Some(Function::KeyMatch));
        roles.add("/book/:id", "books", Some("*"), &patterns);
        roles.add("books", "everything", Some("one"), &patterns);
        assert!(has(&roles, "/book/1", "books", Some("two")));
        assert!(has(&roles, "/book/1", "everything", Some("one")));
        assert!(!has(&roles, "/book/1", "everything", Some("two")));
        assert!(has(&roles, "/pen/1", "/pen/:id", Some("one")), "patterns of the policy count, too");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        /// As if every name were compared with every other.
        #[test]
        fn patterns_are_found(
            lines in prop::collection::vec((name(), name(), select(&["one", "two", "t*"][..])), 0..8),
            function in select(&[Function::KeyMatch, Function::KeyMatch2, Function::RegexMatch, Function::GlobMatch][..]),
            (from, to, domain) in (name(), name(), select(&["one", "two", "three"][..])),
        ) {
            let mut patterns = Patterns::new().unwrap();
            let mut roles = Roles::matching(Some(function), Some(Function::KeyMatch));
            for (from, to, domain) in &lines {
                for (function, name) in [(function, from), (function, to), (Function::KeyMatch, domain)] {
                    patterns.prepare(function, name).unwrap();
                }
                roles.add(from, to, Some(domain), &patterns);
            }
            let fits = |name: &str, pattern: &str| name == pattern || patterns.matches(function, name, pattern).unwrap();
            let links = lines.iter().filter(|(.., d)| *d == domain || patterns.matches(Function::KeyMatch, domain, d).unwrap());
            let links: Vec<_> = links.map(|(from, to, _)| (*from, *to)).collect();
            let mut reached = vec![from];
            while let Some(next) = links
                .iter()
                .flat_map(|(a, b)| [(*a, *a), (*b, *b), (*a, *b)])
                .find(|(by, to)| !reached.contains(to) && reached.iter().any(|r| if by == to { fits(r, by) } else { r == by }))
            {
                reached.push(next.1);
            }
            let reach = roles.reach(from, Some(domain), &patterns).unwrap();
            let expected = reached.iter().any(|r| fits(r, to));
            prop_assert_eq!(roles.has(from, &reach, to, &patterns).unwrap(), expected, "{:?}", reached);
        }
    }

    fn name() -> impl Strategy<Value = &'static str> {
        select(&["a", "ab", "abc", "a*", "ab*", "^a", "^ab", "a/:x", "[ab]"][..])
    }
}
