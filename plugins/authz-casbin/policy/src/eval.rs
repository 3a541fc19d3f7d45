//! A matcher with a request and a rule: true or false.
//!
//! Nothing is converted. What is missing ([`Value::Null`]) equals and matches nothing; everything else that does not fit is an
//! error, because a rule that silently never matches may be one that denies.

use crate::{
    expr::{Expr, Operator},
    pattern::{Function, Patterns},
    roles::{Reach, Roles},
    rules::Rule,
    value::Value,
};
use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

/// What matchers refer to.
#[derive(Debug)]
pub(crate) struct World {
    pub roles: Vec<Roles>,
    pub patterns: Patterns,
    /// The parsed texts of `eval(…)`.
    pub evals: HashMap<String, Expr>,
}

/// A value while it is used.
#[derive(Clone, Debug)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Val<'a>>),
    Map,
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) | Value::Named(text, _) => Self::Text(Cow::Borrowed(text)),
            Value::List(items) => Self::List(items.iter().map(Val::from).collect()),
            Value::Map(_) => Self::Map,
        }
    }
}

impl Val<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map => "a value with attributes",
        }
    }
}

/// Evaluates for one request, and remembers what its names lead to.
pub(crate) struct Evaluator<'a> {
    world: &'a World,
    request: &'a [&'a Value],
    /// For each role definition the last name that was followed.
    reaches: Vec<Option<Followed<'a>>>,
}

struct Followed<'a> {
    name: Cow<'a, str>,
    domain: Option<Cow<'a, str>>,
    reach: Reach,
}

type Outcome<T> = Result<T, String>;

impl<'a> Evaluator<'a> {
    pub fn new(world: &'a World, request: &'a [&'a Value]) -> Self {
        let reaches = world.roles.iter().map(|_| None).collect();
        Self { world, request, reaches }
    }

    /// Whether the rule matches; without a rule its fields are empty texts.
    pub fn truth(&mut self, expr: &'a Expr, rule: Option<&'a Rule>) -> Outcome<bool> {
        match expr {
            Expr::And(parts) => all(parts, |part| self.truth(part, rule)),
            Expr::Or(parts) => Ok(!all(parts, |part| Ok(!self.truth(part, rule)?))?),
            Expr::Not(part) => Ok(!self.truth(part, rule)?),
            Expr::Binary(Operator::Equal, left, right) => equal(&self.value(left, rule)?, &self.value(right, rule)?),
            Expr::Binary(Operator::Unequal, left, right) => Ok(!equal(&self.value(left, rule)?, &self.value(right, rule)?)?),
            Expr::Binary(Operator::In, item, list) => contains(&self.value(item, rule)?, &self.value(list, rule)?),
            Expr::Binary(operator, left, right) if is_order(*operator) => {
                ordered(*operator, &self.value(left, rule)?, &self.value(right, rule)?)
            }
            Expr::Call(function, arguments) if !function.gets() => {
                let [Some(key), Some(pattern)] = self.texts(arguments, rule)? else { return Ok(false) };
                self.world.patterns.matches(*function, &key, &pattern)
            }
            Expr::Role(place, arguments) => self.has_role(*place, arguments, rule),
            Expr::Eval(field) => {
                let text = rule.map_or("", |r| r.field(*field));
                let expr = self.world.evals.get(text).ok_or_else(|| format!("`{text}` is no expression"))?;
                self.truth(expr, rule)
            }
            _ => match self.value(expr, rule)? {
                Val::Bool(truth) => Ok(truth),
                other => Err(format!("{} stands where a truth value should be", other.kind())),
            },
        }
    }

    pub fn value(&mut self, expr: &'a Expr, rule: Option<&'a Rule>) -> Outcome<Val<'a>> {
        Ok(match expr {
            Expr::Text(text) => Val::Text(Cow::Borrowed(text)),
            Expr::Number(number) => Val::Number(*number),
            Expr::Bool(truth) => Val::Bool(*truth),
            Expr::Rule(field) => Val::Text(Cow::Borrowed(rule.map_or("", |r| r.field(*field)))),
            Expr::Request(field, attributes) => self.request.get(*field).map_or(Ok(Val::Null), |value| attribute(value, attributes))?,
            Expr::List(items) => Val::List(items.iter().map(|item| self.value(item, rule)).collect::<Outcome<_>>()?),
            Expr::Negative(part) => match self.value(part, rule)? {
                Val::Number(number) => Val::Number(-number),
                other => return Err(format!("`-` stands before {}", other.kind())),
            },
            Expr::Call(function, arguments) if function.gets() => self.got(*function, arguments, rule)?,
            Expr::Binary(operator, left, right) if is_sum(*operator) => {
                computed(*operator, self.value(left, rule)?, self.value(right, rule)?)?
            }
            _ => Val::Bool(self.truth(expr, rule)?),
        })
    }

    /// The texts of the arguments, none for what is missing.
    fn texts<const N: usize>(&mut self, arguments: &'a [Expr], rule: Option<&'a Rule>) -> Outcome<[Option<Cow<'a, str>>; N]> {
        let mut texts = [const { None }; N];
        for (text, argument) in texts.iter_mut().zip(arguments) {
            *text = self.text(argument, rule)?;
        }
        Ok(texts)
    }

    /// The text of a part, none for what is missing.
    pub fn text(&mut self, part: &'a Expr, rule: Option<&'a Rule>) -> Outcome<Option<Cow<'a, str>>> {
        match self.value(part, rule)? {
            Val::Text(text) => Ok(Some(text)),
            Val::Null => Ok(None),
            other => Err(format!("{} stands where a text should be", other.kind())),
        }
    }

    fn got(&mut self, function: Function, arguments: &'a [Expr], rule: Option<&'a Rule>) -> Outcome<Val<'a>> {
        let [Some(key), Some(pattern), name] = self.texts(arguments, rule)? else { return Ok(Val::Null) };
        let found = self.world.patterns.get(function, &key, &pattern, &name.unwrap_or_default())?;
        Ok(Val::Text(Cow::Owned(found.to_owned())))
    }

    fn has_role(&mut self, place: usize, arguments: &'a [Expr], rule: Option<&'a Rule>) -> Outcome<bool> {
        let [name, role, domain] = self.texts(arguments, rule)?;
        let (Some(name), Some(role)) = (name, role) else { return Ok(false) };
        if arguments.len() == 3 && domain.is_none() {
            return Ok(false);
        }
        let world = self.world;
        let Some(roles) = world.roles.get(place) else { return Ok(false) };
        let followed = self.follow(place, roles, name, domain)?;
        roles.has(&followed.name, &followed.reach, &role, &world.patterns)
    }

    fn follow(&mut self, place: usize, roles: &'a Roles, name: Cow<'a, str>, domain: Option<Cow<'a, str>>) -> Outcome<&Followed<'a>> {
        let slot = self.reaches.get_mut(place).ok_or("no such role definition")?;
        let last = slot.take().filter(|last| last.name == name && last.domain == domain);
        let followed = match last {
            Some(last) => last,
            None => {
                let reach = roles.reach(&name, domain.as_deref(), &self.world.patterns)?;
                Followed { name, domain, reach }
            }
        };
        Ok(slot.insert(followed))
    }

    /// All texts that `role` can be where a role definition relates the name to it; none when the name or the domain is missing.
    pub fn roles_of(&mut self, place: usize, name: &'a Expr, domain: Option<&'a Expr>, found: &mut dyn FnMut(&str)) -> Outcome<()> {
        let Some(name) = self.text(name, None)? else { return Ok(()) };
        let domain = match domain.map(|d| self.text(d, None)).transpose()? {
            Some(None) => return Ok(()),
            given => given.flatten(),
        };
        let Some(roles) = self.world.roles.get(place) else { return Ok(()) };
        let followed = self.follow(place, roles, name, domain)?;
        let itself = &*followed.name;
        found(itself);
        roles.named(&followed.reach).filter(|role| *role != itself).for_each(found);
        Ok(())
    }
}

fn all<'a>(parts: &'a [Expr], mut truth: impl FnMut(&'a Expr) -> Outcome<bool>) -> Outcome<bool> {
    for part in parts {
        if !truth(part)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn attribute<'a>(mut value: &'a Value, attributes: &[String]) -> Outcome<Val<'a>> {
    for name in attributes {
        value = match value {
            Value::Map(of) | Value::Named(_, of) => of.get(name).unwrap_or(&Value::Null),
            Value::Null => value,
            other => return Err(format!("{} has no attribute `{name}`", Val::from(other).kind())),
        };
    }
    Ok(value.into())
}

fn equal(left: &Val<'_>, right: &Val<'_>) -> Outcome<bool> {
    match (left, right) {
        (Val::Text(left), Val::Text(right)) => Ok(left == right),
        #[allow(clippy::float_cmp, reason = "a policy says which numbers are equal")]
        (Val::Number(left), Val::Number(right)) => Ok(left == right),
        (Val::Bool(left), Val::Bool(right)) => Ok(left == right),
        (Val::Null, _) | (_, Val::Null) => Ok(false),
        _ => Err(format!("{} cannot be compared with {}", left.kind(), right.kind())),
    }
}

fn contains(item: &Val<'_>, list: &Val<'_>) -> Outcome<bool> {
    match list {
        Val::List(items) => {
            for other in items {
                if equal(item, other)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Val::Null => Ok(false),
        other => Err(format!("{} stands after `in` where a list should be", other.kind())),
    }
}

fn is_order(operator: Operator) -> bool {
    matches!(operator, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual)
}

fn ordered(operator: Operator, left: &Val<'_>, right: &Val<'_>) -> Outcome<bool> {
    let order = match (left, right) {
        (Val::Number(left), Val::Number(right)) => left.partial_cmp(right),
        (Val::Text(left), Val::Text(right)) => Some(left.cmp(right)),
        _ => return Err(format!("`{}` stands between {} and {}", operator.as_str(), left.kind(), right.kind())),
    };
    Ok(order.is_some_and(|order| match operator {
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn is_sum(operator: Operator) -> bool {
    matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder)
}

fn computed<'a>(operator: Operator, left: Val<'a>, right: Val<'a>) -> Outcome<Val<'a>> {
    match (operator, left, right) {
        (Operator::Add, Val::Text(left), Val::Text(right)) => Ok(Val::Text(left + right)),
        (Operator::Add, Val::Number(left), Val::Number(right)) => Ok(Val::Number(left + right)),
        (Operator::Subtract, Val::Number(left), Val::Number(right)) => Ok(Val::Number(left - right)),
        (Operator::Multiply, Val::Number(left), Val::Number(right)) => Ok(Val::Number(left * right)),
        (Operator::Divide | Operator::Remainder, Val::Number(_), Val::Number(0.0)) => Err("a division by zero".to_owned()),
        (Operator::Divide, Val::Number(left), Val::Number(right)) => Ok(Val::Number(left / right)),
        (Operator::Remainder, Val::Number(left), Val::Number(right)) => Ok(Val::Number(left % right)),
        (operator, left, right) => Err(format!("`{}` stands between {} and {}", operator.as_str(), left.kind(), right.kind())),
    }
}
