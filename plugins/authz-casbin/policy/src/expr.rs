//! Matchers as trees.

use crate::pattern::Function;

/// An expression of a matcher. Fields and roles are meant by their places in the model's definitions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Text(String),
    Number(f64),
    Bool(bool),
    /// A field of the request and the attributes that lead on from it.
    Request(usize, Vec<String>),
    /// A field of the rule.
    Rule(usize),
    List(Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    /// `g(…)`: whether the first has the role of the second, in the domain of the third.
    Role(usize, Vec<Expr>),
    /// `eval(p.x)`: what the rule's field says as a matcher.
    Eval(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Expr {
    /// The expressions directly within.
    pub fn parts(&self) -> Vec<&Expr> {
        match self {
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Request(..) | Self::Rule(_) | Self::Eval(_) => Vec::new(),
            Self::List(parts) | Self::And(parts) | Self::Or(parts) | Self::Call(_, parts) | Self::Role(_, parts) => parts.iter().collect(),
            Self::Not(part) | Self::Negative(part) => vec![part],
            Self::Binary(_, left, right) => vec![left, right],
        }
    }

    /// Calls `visit` with this and all within.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Expr)) {
        visit(self);
        for part in self.parts() {
            part.walk(visit);
        }
    }

    /// Whether it is the same for every rule.
    pub fn of_request(&self) -> bool {
        !matches!(self, Self::Rule(_) | Self::Eval(_)) && self.parts().into_iter().all(Self::of_request)
    }
}
