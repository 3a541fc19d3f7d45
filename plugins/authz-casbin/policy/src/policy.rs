//! A model and its rules, ready to judge.

use crate::{
    effect::{Effect, Eft},
    error::{Error, Place, Result, Source},
    eval::{Evaluator, World},
    expr::Expr,
    index::Index,
    model::Model,
    parser::{self, Scope},
    pattern::{Function, Patterns},
    roles::Roles,
    rules::{self, Rule},
    value::Value,
};
use std::collections::HashMap;

/// Functions that compare the names of a role definition, where they are patterns. Casbin's users set them in their program
/// (`AddNamedMatchingFunc`), since model files cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// By role definition (`g`, `g2`) the function for names, such as `keyMatch2`.
    pub roles: Vec<(String, String)>,
    /// The same for domains.
    pub domains: Vec<(String, String)>,
}

/// A model with its rules.
#[derive(Debug)]
pub struct Policy {
    request: Vec<String>,
    rules: Vec<Rule>,
    /// What each rule does when it matches.
    efts: Vec<Eft>,
    effect: Effect,
    matcher: Expr,
    matcher_place: Place,
    world: World,
    index: Index,
}

/// What a policy says to a request.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'p> {
    /// Whether it may be.
    pub allowed: bool,
    /// The rule that decided; none when it was no rule's doing.
    pub rule: Option<&'p Rule>,
}

impl Policy {
    /// Reads a model and its rules, which may stand in several files.
    ///
    /// # Errors
    /// The first mistake.
    pub fn load(model: Source<'_>, files: &[Source<'_>], matching: &Matching) -> Result<Self> {
        let model = Model::parse(model)?;
        let place = &model.matcher_place;
        let mut world =
            World { roles: relations(&model, matching)?, patterns: Patterns::new().map_err(|e| place.error(e))?, evals: HashMap::new() };
        let scope = Scope { request: &model.request, rule: &model.rule, roles: &model.roles };
        let matcher = parser::parse(&model.matcher, &scope).map_err(|e| place.error(e))?;

        let mut rules = Vec::new();
        for rule in files.iter().map(|file| rules::parse(*file)).collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            if let Some(at) = model.roles.iter().position(|(name, _)| *name == rule.kind) {
                relate(&rule, &model, at, &mut world)?;
            } else if rule.kind == "p" {
                fits(&rule, model.rule.len())?;
                rules.push(rule);
            } else {
                return Err(rule.place().error(format!("the model defines no `{}`", rule.kind)));
            }
        }
        // A file that was emptied, or is being written, says nothing: it would allow everything where rules deny.
        if rules.is_empty() && !matcher.of_request() {
            let file = files.first().map_or("", |file| file.name).to_owned();
            return Err(Error { file, line: 0, message: "there is no rule (`p, …`), but the matcher compares with those".to_owned() });
        }
        if let Some(at) = model.rule.iter().position(|f| f == "priority").filter(|_| model.effect == Effect::Priority) {
            sort(&mut rules, at)?;
        }
        prepare(&matcher, &rules, &scope, &mut world, place)?;
        let index = Index::new(&matcher, &rules, &world);
        let eft = model.rule.iter().position(|field| field == "eft");
        let efts = rules.iter().map(|rule| effect(rule, eft)).collect::<Result<_>>()?;
        Ok(Self { efts, effect: model.effect, matcher, world, index, rules, matcher_place: model.matcher_place, request: model.request })
    }

    /// The fields of a request, in their order.
    pub fn request(&self) -> &[String] {
        &self.request
    }

    /// How many rules there are, without those that relate roles.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Judges a request, whose values are in the order of [`Policy::request`].
    ///
    /// # Errors
    /// A value is missing or too much, or the matcher cannot be computed with these values.
    pub fn judge(&self, request: &[&Value]) -> Result<Decision<'_>> {
        if request.len() != self.request.len() {
            return Err(self.matcher_place.error(format!("a request has {} values, not {}", self.request.len(), request.len())));
        }
        let (allowed, rule) = self.evaluate(request)?;
        Ok(Decision { allowed, rule: rule.and_then(|place| self.rules.get(place)) })
    }

    fn evaluate(&self, request: &[&Value]) -> Result<(bool, Option<usize>)> {
        let mut evaluator = Evaluator::new(&self.world, request);
        let mut tally = self.effect.start();
        if self.rules.is_empty() {
            // A model without rules is its matcher.
            if evaluator.truth(&self.matcher, None).map_err(|e| self.matcher_place.error(e))? {
                tally.push(Eft::Allow, 0);
            }
            return Ok((tally.allowed, None));
        }
        for place in self.index.candidates(&mut evaluator) {
            let place = place as usize;
            let Some((rule, eft)) = self.rules.get(place).zip(self.efts.get(place)) else { continue };
            let failed = |e| rule.place().error(format!("the matcher ({}:{}): {e}", self.matcher_place.file, self.matcher_place.line));
            if evaluator.truth(&self.matcher, Some(rule)).map_err(failed)? && tally.push(*eft, place) {
                break;
            }
        }
        Ok((tally.allowed, tally.rule))
    }
}

/// The role definitions, without relations yet.
fn relations(model: &Model, matching: &Matching) -> Result<Vec<Roles>> {
    let place = &model.matcher_place;
    if let Some((name, _)) = matching.roles.iter().chain(&matching.domains).find(|(name, _)| !model.roles.iter().any(|(g, _)| g == name)) {
        return Err(Error {
            file: place.file.to_string(),
            line: 0,
            message: format!("there is no role definition `{name}` to match names of"),
        });
    }
    let function = |of: &[(String, String)], role: &str| -> Result<Option<Function>> {
        let Some((_, name)) = of.iter().find(|(name, _)| name == role) else { return Ok(None) };
        let function = Function::named(name).filter(|f| !f.gets());
        let unknown = || Error { file: place.file.to_string(), line: 0, message: format!("`{name}` is no function that matches") };
        function.map(Some).ok_or_else(unknown)
    };
    let roles = model.roles.iter().map(|(name, _)| {
        let (role_matching, domain_matching) = (function(&matching.roles, name)?, function(&matching.domains, name)?);
        Ok(Roles::matching(role_matching, domain_matching))
    });
    roles.collect()
}

fn fits(rule: &Rule, wanted: usize) -> Result<()> {
    match rule.fields.len() {
        found if found == wanted => Ok(()),
        found => Err(rule.place().error(format!("the model wants {wanted} fields after `{}`, here are {found}", rule.kind))),
    }
}

/// What a rule does, by its field in this place; without one it allows.
fn effect(rule: &Rule, eft: Option<usize>) -> Result<Eft> {
    eft.map_or(Ok(Eft::Allow), |at| Eft::parse(rule.field(at)).map_err(|e| rule.place().error(e)))
}

/// Takes a line that gives somebody a role.
fn relate(rule: &Rule, model: &Model, at: usize, world: &mut World) -> Result<()> {
    fits(rule, model.roles.get(at).map_or(0, |(_, places)| *places))?;
    let Some(roles) = world.roles.get_mut(at) else { return Ok(()) };
    let domain = rule.fields.get(2).map(String::as_str);
    for (function, name) in
        [(roles.role_matching, rule.field(0)), (roles.role_matching, rule.field(1)), (roles.domain_matching, rule.field(2))]
    {
        if let Some(function) = function {
            world.patterns.prepare(function, name).map_err(|e| rule.place().error(e))?;
        }
    }
    roles.add(rule.field(0), rule.field(1), domain, &world.patterns);
    Ok(())
}

/// Explicit priorities: the lowest number first.
fn sort(rules: &mut [Rule], at: usize) -> Result<()> {
    for rule in rules.iter() {
        rule.field(at).parse::<i64>().map_err(|_| rule.place().error(format!("the priority `{}` is no whole number", rule.field(at))))?;
    }
    rules.sort_by_key(|rule| rule.field(at).parse::<i64>().unwrap_or(i64::MAX));
    Ok(())
}

/// Parses and compiles what the rules hold, so that a mistake is found now and with its line.
fn prepare(matcher: &Expr, rules: &[Rule], scope: &Scope<'_>, world: &mut World, place: &Place) -> Result<()> {
    let fixed = Fixed::of(matcher, world);
    fixed.compile_texts(world).map_err(|e| place.error(e))?;
    for rule in rules {
        fixed.compile_fields(rule, world).map_err(|e| rule.place().error(e))?;
        for text in fixed.evals.iter().map(|field| rule.field(*field)) {
            let failed = |e| rule.place().error(format!("`{text}`: {e}"));
            let expr = parser::parse(text, scope).map_err(failed)?;
            let within = Fixed::of(&expr, world);
            if !within.evals.is_empty() {
                return Err(failed("`eval` within `eval`".to_owned()));
            }
            within.compile_texts(world).map_err(failed)?;
            within.compile_fields(rule, world).map_err(failed)?;
            world.evals.insert(text.to_owned(), expr);
        }
    }
    Ok(())
}

/// What an expression holds that is the same for every request.
#[derive(Default)]
struct Fixed<'e> {
    texts: Vec<(Function, &'e str)>,
    /// Patterns in fields of the rules.
    fields: Vec<(Function, usize)>,
    /// Fields of the rules that are expressions.
    evals: Vec<usize>,
}

impl<'e> Fixed<'e> {
    fn of(expr: &'e Expr, world: &World) -> Self {
        let mut found = Self::default();
        expr.walk(&mut |expr| match expr {
            Expr::Call(function, arguments) => match arguments.get(1) {
                Some(Expr::Text(text)) => found.texts.push((*function, text)),
                Some(Expr::Rule(field)) => found.fields.push((*function, *field)),
                _ => {}
            },
            Expr::Role(place, arguments) => {
                let function = world.roles.get(*place).and_then(|roles| roles.role_matching);
                if let (Some(Expr::Rule(field)), Some(function)) = (arguments.get(1), function) {
                    found.fields.push((function, *field));
                }
            }
            Expr::Eval(field) => found.evals.push(*field),
            _ => {}
        });
        found
    }

    fn compile_texts(&self, world: &mut World) -> std::result::Result<(), String> {
        self.texts.iter().try_for_each(|(function, text)| world.patterns.prepare(*function, text))
    }

    fn compile_fields(&self, rule: &Rule, world: &mut World) -> std::result::Result<(), String> {
        self.fields.iter().try_for_each(|(function, field)| world.patterns.prepare(*function, rule.field(*field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prelude::*, sample::select};

    /// Texts out of pieces that mean something in patterns.
    fn text() -> impl Strategy<Value = String> {
        let piece = select(
            &["a", "b", "ab", "/", ".", "*", "?", "^", "$", "|", "(", ")", "[ab]", "{a}", "{1}", ":x", "\\", "é", "(?i)", "a*", ".*"][..],
        );
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{0,3}", "[abAé/:x?]{0,5}", text()]
    }

    fn matcher() -> impl Strategy<Value = String> {
        let function = select(&["keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch", "globMatch", "g"][..]);
        let condition = prop_oneof![
            6 => (function, select(&["a", "b"][..])).prop_map(|(function, field)| format!("{function}(r.{field}, p.{field})")),
            1 => select(&["r.a == p.a", "p.b == r.b", "p.a == \"a\"", "r.a != p.b", "r.a.x == p.b"][..]).prop_map(str::to_owned),
        ];
        condition.prop_recursive(3, 12, 3, |inner| {
            let several = prop::collection::vec(inner, 1..4);
            (several, select(&[" && ", " || "][..])).prop_map(|(parts, sign)| format!("({})", parts.join(sign)))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// What the index leaves out does not match.
        #[test]
        fn no_rule_is_missed(
            matcher in matcher(),
            rules in prop::collection::vec((text(), text()), 1..10),
            roles in prop::collection::vec((key(), text()), 0..6),
            matching in prop::option::of(select(&["keyMatch", "keyMatch2", "regexMatch", "globMatch"][..])),
            requests in prop::collection::vec((key(), key()), 1..6),
        ) {
            let model = format!(
                "[request_definition]\nr = a, b\n[policy_definition]\np = a, b\n[role_definition]\ng = _, _\n\
                 [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
            );
            let model = Source { name: "m", text: &model };
            let matching = Matching { roles: matching.map(|f| ("g".to_owned(), f.to_owned())).into_iter().collect(), domains: Vec::new() };
            let load = |rules: &str| Policy::load(model, &[Source { name: "p", text: rules }], &matching);
            let line = |kind: &str, (a, b): &(String, String)| format!("{kind}, \"{a}\", \"{b}\"\n");
            let lines = rules.iter().map(|fields| line("p", fields)).chain(roles.iter().map(|fields| line("g", fields)));
            // Not every text is a pattern; one rule is.
            let rule = "p, a, b\n";
            let valid = lines.filter(|line| load(&format!("{rule}{line}")).is_ok()).fold(rule.to_owned(), |valid, line| valid + &line);
            let policy = load(&valid).unwrap();
            for (a, b) in requests {
                let (a, b) = (Value::from(a), Value::from(b));
                let request = [&a, &b];
                let mut evaluator = Evaluator::new(&policy.world, &request);
                let found = policy.index.candidates(&mut evaluator);
                for (place, rule) in (0..).zip(&policy.rules).filter(|(place, _)| !found.contains(place)) {
                    let truth = evaluator.truth(&policy.matcher, Some(rule));
                    prop_assert_ne!(truth, Ok(true), "{} {:?}: {:?} of {:?}", matcher, request, place, valid);
                }
            }
        }
    }
}
