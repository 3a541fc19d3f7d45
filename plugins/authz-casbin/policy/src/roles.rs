//! Who has which role: the relation of one role definition, followed to its end.
//!
//! Roles have roles. A relation may go in circles, and has no greatest depth. With a domain in the definition, relations of
//! different domains know nothing of each other.

use crate::pattern::{Function, Patterns};
use std::collections::HashMap;

/// The domain of definitions without one.
const NO_DOMAIN: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(crate) struct Roles {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// By domain.
    links: HashMap<u32, HashMap<u32, Vec<u32>>>,
    /// Compares a name with the patterns among the names.
    pub role_matching: Option<Function>,
    /// The same for domains.
    pub domain_matching: Option<Function>,
}

/// All roles that somebody has, by number and sorted; not the name itself when it is unknown.
#[derive(Debug, Default)]
pub(crate) struct Reach(Vec<u32>);

impl Roles {
    pub fn matching(role_matching: Option<Function>, domain_matching: Option<Function>) -> Self {
        Self { role_matching, domain_matching, ..Self::default() }
    }

    pub fn add(&mut self, from: &str, to: &str, domain: Option<&str>) {
        let (from, to) = (self.number(from), self.number(to));
        let domain = domain.map_or(NO_DOMAIN, |d| self.number(d));
        self.links.entry(domain).or_default().entry(from).or_default().push(to);
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

    /// Whether names stand for themselves only.
    pub fn literal(&self) -> bool {
        self.role_matching.is_none()
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
                waiting.extend(relations.iter().filter_map(|r| r.get(&number)).flatten());
                self.matched(self.name(number), &relations, patterns, &mut waiting)?;
            }
        }
        Ok(Reach(reached))
    }

    fn relations(&self, domain: Option<&str>, patterns: &Patterns) -> Result<Vec<&HashMap<u32, Vec<u32>>>, String> {
        let (Some(domain), Some(function)) = (domain, self.domain_matching) else {
            let number = domain.map_or(Some(NO_DOMAIN), |d| self.numbers.get(d).copied());
            return Ok(number.and_then(|n| self.links.get(&n)).into_iter().collect());
        };
        let mut relations = Vec::new();
        for (number, links) in &self.links {
            let name = self.name(*number);
            if name == domain || patterns.matches(function, domain, name)? {
                relations.push(links);
            }
        }
        Ok(relations)
    }

    /// The names in these relations that are patterns which `name` matches.
    fn matched(&self, name: &str, relations: &[&HashMap<u32, Vec<u32>>], patterns: &Patterns, found: &mut Vec<u32>) -> Result<(), String> {
        let Some(function) = self.role_matching else { return Ok(()) };
        for number in relations.iter().flat_map(|r| r.iter()).flat_map(|(from, to)| std::iter::once(from).chain(to)) {
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

    fn has(roles: &Roles, name: &str, role: &str, domain: Option<&str>) -> bool {
        let patterns = Patterns::new().unwrap();
        let reach = roles.reach(name, domain, &patterns).unwrap();
        roles.has(name, &reach, role, &patterns).unwrap()
    }

    #[test]
    fn circles_and_depth() {
        let mut roles = Roles::default();
        for i in 0..1000 {
            roles.add(&format!("r{i}"), &format!("r{}", i + 1), None);
        }
        roles.add("r1000", "r0", None);
        assert!(has(&roles, "r1", "r0", None));
        assert!(!has(&roles, "r1", "x", None));
        assert!(has(&roles, "x", "x", None), "everyone is himself");
    }

    #[test]
    fn domains_are_apart() {
        let mut roles = Roles::default();
        roles.add("alice", "admin", Some("one"));
        roles.add("admin", "root", Some("two"));
        assert!(has(&roles, "alice", "admin", Some("one")));
        assert!(!has(&roles, "alice", "admin", Some("two")));
        assert!(!has(&roles, "alice", "root", Some("one")));
        assert!(!has(&roles, "alice", "admin", None));
    }

    #[test]
    fn patterns_among_names() {
        let mut roles = Roles::matching(Some(Function::KeyMatch2), Some(Function::KeyMatch));
        roles.add("/book/:id", "books", Some("*"));
        roles.add("books", "everything", Some("one"));
        assert!(has(&roles, "/book/1", "books", Some("two")));
        assert!(has(&roles, "/book/1", "everything", Some("one")));
        assert!(!has(&roles, "/book/1", "everything", Some("two")));
        assert!(has(&roles, "/pen/1", "/pen/:id", Some("one")), "patterns of the policy count, too");
    }
}
