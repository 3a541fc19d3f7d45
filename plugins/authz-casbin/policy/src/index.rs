//! Which rules can match a request, found without trying them.
//!
//! A matcher is a conjunction nearly always, or can be written as several with `||` between: `g(r.sub, p.sub) && keyMatch(r.obj,
//! p.obj) && r.act == p.act`. Of each one those conditions are keys that tell what a field of a rule must be: equal to something of
//! the request, a role of it, or a pattern whose beginning it has. Rules are looked up by these fields together. What is found may be
//! too much and is never too little: the whole matcher decides.

use crate::{
    beginnings::Beginnings,
    eval::{Evaluator, World},
    expr::{Expr, Operator},
    pattern::Function,
    rules::Rule,
};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

/// Conjunctions that a matcher is written as at the most; brackets that would make more of it are one condition.
const MOST_ALTERNATIVES: usize = 16;

#[derive(Debug)]
pub(crate) struct Index {
    keys: Vec<Key>,
    parts: Vec<Part>,
    rules: usize,
}

/// What a field of the rules must be. What it is in each of them has a number.
#[derive(Debug)]
struct Key {
    source: Source,
    /// By what the fields are; none where these are only patterns.
    texts: HashMap<String, u32>,
    /// By what all begin with that match the fields; none where fields are no patterns. The numbers are in this order.
    patterns: Beginnings<u32>,
}

/// What one of the alternatives of a matcher requires.
#[derive(Debug)]
struct Part {
    /// For each of these keys, by its place, the number that each of `rules` has.
    columns: Vec<(usize, Vec<u32>)>,
    /// All rules, sorted by the first column, then by the next.
    rules: Vec<u32>,
}

/// What a field must be.
#[derive(Debug, PartialEq)]
enum Source {
    Equal(Expr),
    Role(usize, Expr, Option<Expr>),
    /// A pattern of this function with a beginning that the text has.
    Pattern(Function, Expr),
}

impl Index {
    /// For these rules and a matcher.
    pub fn new(matcher: &Expr, rules: &[Rule], world: &World) -> Self {
        let alternatives = required(matcher, world);
        let mut sources: Vec<(usize, Source)> = Vec::new();
        let mut place = |wanted: (usize, Source)| {
            sources.iter().position(|known| *known == wanted).unwrap_or_else(|| {
                sources.push(wanted);
                sources.len() - 1
            })
        };
        let places: Vec<Vec<usize>> = alternatives.into_iter().map(|a| a.into_iter().map(&mut place).collect()).collect();
        let keys = sources.into_iter().map(|(field, source)| Key::new(field, source, rules, world));
        let (keys, numbers): (Vec<Key>, Vec<Vec<u32>>) = keys.unzip();
        let parts = places.into_iter().map(|keys| Part::new(keys, &numbers, rules.len())).collect();
        Self { keys, parts, rules: rules.len() }
    }

    /// The rules that may match, by their places, ascending. What cannot be computed ahead makes it all of them.
    pub fn candidates<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Vec<u32> {
        let Ok(mut found) = self.find(evaluator) else { return (0..).take(self.rules).collect() };
        found.sort_unstable();
        found.dedup();
        found
    }

    fn find<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Result<Vec<u32>, String> {
        let mut found = Vec::new();
        let mut computed: Vec<Option<Vec<u32>>> = vec![None; self.keys.len()];
        'parts: for part in &self.parts {
            for (place, _) in &part.columns {
                let Some((key, wanted)) = self.keys.get(*place).zip(computed.get_mut(*place)) else { continue };
                if wanted.is_none() {
                    *wanted = Some(key.wanted(evaluator)?);
                }
                if wanted.as_ref().is_some_and(Vec::is_empty) {
                    continue 'parts;
                }
            }
            let wanted = |place: usize| computed.get(place).and_then(Option::as_deref).unwrap_or_default();
            let columns: Vec<_> = part.columns.iter().map(|(place, column)| (column.as_slice(), wanted(*place))).collect();
            narrow(&columns, 0..part.rules.len(), &mut |rows| found.extend(part.rules.get(rows).into_iter().flatten()));
        }
        Ok(found)
    }
}

/// What each of the alternatives of a matcher requires of the fields of a rule.
fn required(matcher: &Expr, world: &World) -> Vec<Vec<(usize, Source)>> {
    let mut all: Vec<Vec<(usize, Source)>> = alternatives(matcher).iter().map(|conditions| sources(conditions, world)).collect();
    all.sort_by_key(Vec::len);
    let mut least: Vec<Vec<(usize, Source)>> = Vec::new();
    for one in all {
        // What requires more than another finds nothing that the other does not.
        if !least.iter().any(|less| less.iter().all(|source| one.contains(source))) {
            least.push(one);
        }
    }
    least
}

/// The conjunctions of which one must hold: `(a || b) && c` is `a && c || b && c`.
fn alternatives(matcher: &Expr) -> Vec<Vec<&Expr>> {
    match matcher {
        Expr::Or(parts) => parts.iter().flat_map(alternatives).collect(),
        Expr::And(parts) => parts.iter().fold(vec![Vec::new()], |begun, part| {
            let choices = Some(alternatives(part)).filter(|c| begun.len() * c.len() <= MOST_ALTERNATIVES).unwrap_or(vec![vec![part]]);
            begun.iter().flat_map(|begin| choices.iter().map(move |choice| [begin.as_slice(), choice].concat())).collect()
        }),
        one => vec![vec![one]],
    }
}

/// One for each field at the most.
fn sources(conditions: &[&Expr], world: &World) -> Vec<(usize, Source)> {
    let mut sources: Vec<(usize, Source)> = Vec::new();
    for (field, source) in conditions.iter().filter_map(|c| source(c, world)) {
        if sources.iter().all(|(taken, _)| *taken != field) {
            sources.push((field, source));
        }
    }
    sources
}

/// What the condition says about a field of the rules, if it is one of the forms that tell.
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
            let known = world.roles.get(*place)?.role_matching.is_none_or(Function::begins);
            let fits = known && name.of_request() && domain.is_none_or(Expr::of_request);
            fits.then(|| (*field, Source::Role(*place, name.clone(), domain.cloned())))
        }
        Expr::Call(function, arguments) if function.begins() => match arguments.as_slice() {
            [key, Expr::Rule(field)] if key.of_request() => Some((*field, Source::Pattern(*function, key.clone()))),
            _ => None,
        },
        _ => None,
    }
}

impl Part {
    /// `numbers` are those of each key, in the order of the rules.
    fn new(keys: Vec<usize>, numbers: &[Vec<u32>], rules: usize) -> Self {
        let number = |key: &usize, rule: u32| numbers.get(*key).and_then(|of| of.get(rule as usize)).copied().unwrap_or_default();
        let mut order: Vec<u32> = (0..).take(rules).collect();
        order.sort_by_cached_key(|rule| keys.iter().map(|key| number(key, *rule)).collect::<Vec<_>>());
        let column = |key: usize| (key, order.iter().map(|rule| number(&key, *rule)).collect());
        Self { columns: keys.into_iter().map(column).collect(), rules: order }
    }
}

/// Finds the rows that have a wanted number in each of the columns. Within these rows the columns are sorted, as wanted numbers are.
fn narrow(columns: &[(&[u32], &[u32])], mut rows: Range<usize>, found: &mut impl FnMut(Range<usize>)) {
    let Some((&(column, mut wanted), rest)) = columns.split_first() else { return found(rows) };
    // Either side leaps to what the other has, so that the shorter one counts.
    while let (Some(number), Some(here @ [first, ..])) = (wanted.first(), column.get(rows.clone())) {
        match number.cmp(first) {
            Ordering::Less => wanted = wanted.get(wanted.partition_point(|n| n < first)..).unwrap_or_default(),
            Ordering::Greater => rows.start += here.partition_point(|n| n < number),
            Ordering::Equal => {
                let end = rows.start + here.partition_point(|n| n == number);
                narrow(rest, rows.start..end, found);
                rows.start = end;
            }
        }
    }
}

impl Key {
    /// With the number of each rule.
    fn new(field: usize, source: Source, rules: &[Rule], world: &World) -> (Self, Vec<u32>) {
        let function = match &source {
            Source::Equal(_) => None,
            Source::Role(place, ..) => world.roles.get(*place).and_then(|roles| roles.role_matching),
            Source::Pattern(function, _) => Some(*function),
        };
        let fields = rules.iter().map(|rule| rule.field(field));
        let begin = |text| function.map_or(str::as_bytes(text), |function| world.patterns.beginning(function, text));
        let begins: Vec<&[u8]> = fields.clone().map(begin).collect();
        let numbers: BTreeMap<&[u8], u32> = begins.iter().copied().collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
        let of_rules: Vec<u32> = begins.iter().filter_map(|begin| numbers.get(begin).copied()).collect();
        let compared = !matches!(source, Source::Pattern(..));
        let texts: HashMap<&str, u32> = fields.zip(of_rules.iter().copied()).filter(|_| compared).collect();
        let texts = texts.into_iter().map(|(text, number)| (text.to_owned(), number)).collect();
        let patterns = numbers.iter().filter(|_| function.is_some()).map(|(begin, number)| (begin.to_vec(), *number)).collect();
        (Self { source, texts, patterns }, of_rules)
    }

    /// The numbers that fit the request, ascending. What cannot be compared with a text is an error, as it is to the matcher.
    fn wanted<'a>(&'a self, evaluator: &mut Evaluator<'a>) -> Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        match &self.source {
            Source::Equal(expr) => {
                if let Some(text) = evaluator.text(expr, None)? {
                    numbers.extend(self.texts.get(&*text));
                }
            }
            Source::Role(place, name, domain) => evaluator.roles_of(*place, name, domain.as_ref(), &mut |role| {
                numbers.extend(self.texts.get(role));
                numbers.extend(self.patterns.of(role.as_bytes()));
            })?,
            Source::Pattern(_, expr) => {
                if let Some(text) = evaluator.text(expr, None)? {
                    numbers.extend(self.patterns.of(text.as_bytes()));
                }
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_that_fit(
            mut table in prop::collection::vec((0u32..5, 0u32..5), 0..30),
            wanted in (prop::collection::btree_set(0u32..6, 0..5), prop::collection::btree_set(0u32..6, 0..5)),
        ) {
            table.sort_unstable();
            let (first, second): (Vec<_>, Vec<_>) = table.iter().copied().unzip();
            let numbers = [&wanted.0, &wanted.1].map(|set| set.iter().copied().collect::<Vec<u32>>());
            let columns = [(first.as_slice(), numbers[0].as_slice()), (second.as_slice(), numbers[1].as_slice())];
            let mut found = Vec::new();
            narrow(&columns, 0..table.len(), &mut |rows| found.extend(rows));
            let fits = |row: &usize| wanted.0.contains(&table[*row].0) && wanted.1.contains(&table[*row].1);
            prop_assert_eq!(found, (0..table.len()).filter(fits).collect::<Vec<_>>());
        }
    }
}
