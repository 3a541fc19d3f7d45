//! Which rules can match a request, found without trying them.
//!
//! A matcher is a conjunction nearly always, or several with `||` between: `g(r.sub, p.sub) && r.obj == p.obj && keyMatch(…)`. Of
//! each one those parts are keys that say what a field of a rule must be: an equality with something of the request, or a role of
//! something of the request. Rules are looked up by these fields together. What is found may be too much and is never too little:
//! the whole matcher decides.

use crate::{
    eval::{Evaluator, World},
    expr::{Expr, Operator},
    rules::Rule,
};
use std::collections::HashMap;

/// More combinations of roles than rules are no gain.
const LEAST_COMBINATIONS: usize = 64;

#[derive(Debug)]
pub(crate) struct Index {
    parts: Vec<Part>,
    rules: usize,
}

/// What one of the alternatives of a matcher requires.
#[derive(Debug)]
struct Part {
    keys: Vec<Key>,
    /// Rules by the numbers of their texts, in the order of `keys`.
    rules: HashMap<Box<[u32]>, Vec<u32>>,
}

#[derive(Debug)]
struct Key {
    field: usize,
    source: Source,
    /// Numbers for the texts that rules have in the field.
    texts: HashMap<String, u32>,
}

/// Where the texts come from that the field must be one of.
#[derive(Debug)]
enum Source {
    Equal(Expr),
    Role(usize, Expr, Option<Expr>),
}

/// Rules by their places, ascending.
pub(crate) enum Candidates {
    All(std::ops::Range<usize>),
    Some(std::vec::IntoIter<u32>),
}

impl Iterator for Candidates {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Self::All(range) => range.next(),
            Self::Some(found) => found.next().map(|place| place as usize),
        }
    }
}

impl Index {
    /// For these rules and a matcher.
    pub fn new(matcher: &Expr, rules: &[Rule], world: &World) -> Self {
        let alternatives = match matcher {
            Expr::Or(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let parts = alternatives.iter().map(|part| Part::new(part, rules, world)).collect();
        Self { parts, rules: rules.len() }
    }

    /// The rules that may match. What cannot be computed ahead makes it all of them.
    pub fn candidates<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Candidates {
        let mut found = Vec::new();
        for part in &self.parts {
            if !part.find(evaluator, self.rules, &mut found) {
                return Candidates::All(0..self.rules);
            }
        }
        if self.parts.len() > 1 || self.parts.iter().any(|p| p.keys.iter().any(|k| matches!(k.source, Source::Role(..)))) {
            found.sort_unstable();
            found.dedup();
        }
        Candidates::Some(found.into_iter())
    }
}

impl Part {
    fn new(alternative: &Expr, rules: &[Rule], world: &World) -> Self {
        let conditions = match alternative {
            Expr::And(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut keys: Vec<Key> = Vec::new();
        for (field, source) in conditions.iter().filter_map(|c| source(c, world)) {
            if keys.iter().all(|k| k.field != field) {
                keys.push(Key { field, source, texts: HashMap::new() });
            }
        }
        let mut table: HashMap<Box<[u32]>, Vec<u32>> = HashMap::new();
        for (place, rule) in (0..).zip(rules) {
            let numbers = keys.iter_mut().map(|key| key.number(rule)).collect();
            table.entry(numbers).or_default().push(place);
        }
        Self { keys, rules: table }
    }

    /// Adds what may match; answers false when that would be everything.
    fn find<'a>(&'a self, evaluator: &mut Evaluator<'a>, rules: usize, found: &mut Vec<u32>) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let mut choices: Vec<Vec<u32>> = Vec::with_capacity(self.keys.len());
        let mut combinations = 1usize;
        for key in &self.keys {
            let Ok(numbers) = key.numbers(evaluator) else { return false };
            combinations = combinations.saturating_mul(numbers.len());
            choices.push(numbers);
        }
        if combinations > rules.max(LEAST_COMBINATIONS) {
            return false;
        }
        let mut numbers = Vec::with_capacity(choices.len());
        self.combine(&choices, &mut numbers, found);
        true
    }

    fn combine(&self, choices: &[Vec<u32>], numbers: &mut Vec<u32>, found: &mut Vec<u32>) {
        let Some((first, rest)) = choices.split_first() else {
            found.extend(self.rules.get(numbers.as_slice()).into_iter().flatten());
            return;
        };
        for number in first {
            numbers.push(*number);
            self.combine(rest, numbers, found);
            numbers.pop();
        }
    }
}

impl Key {
    fn number(&mut self, rule: &Rule) -> u32 {
        let text = rule.field(self.field);
        let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        match self.texts.get(text) {
            Some(number) => *number,
            None => *self.texts.entry(text.to_owned()).or_insert(next),
        }
    }

    /// The numbers of the texts that fit the request; those that no rule has are left out. What cannot be compared with a text is an
    /// error, as it is to the matcher.
    fn numbers<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        match &self.source {
            Source::Equal(expr) => {
                if let Some(text) = evaluator.text(expr, None)? {
                    numbers.extend(self.texts.get(&*text));
                }
            }
            Source::Role(place, name, domain) => {
                evaluator.roles_of(*place, name, domain.as_ref(), &mut |role| numbers.extend(self.texts.get(role)))?;
            }
        }
        Ok(numbers)
    }
}

/// What the condition says about a field of the rules, if it is one of the two forms.
fn source(condition: &Expr, world: &World) -> Option<(usize, Source)> {
    match condition {
        Expr::Binary(Operator::Equal, left, right) => match (&**left, &**right) {
            (Expr::Rule(field), other) | (other, Expr::Rule(field)) if other.of_request() => Some((*field, Source::Equal(other.clone()))),
            _ => None,
        },
        Expr::Role(place, arguments) => {
            let (Some(name), Some(Expr::Rule(field)), domain) = (arguments.first(), arguments.get(1), arguments.get(2)) else {
                return None;
            };
            let fits = name.of_request() && domain.is_none_or(Expr::of_request) && world.roles.get(*place)?.literal();
            fits.then(|| (*field, Source::Role(*place, name.clone(), domain.cloned())))
        }
        _ => None,
    }
}
