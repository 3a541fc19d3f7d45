//! The values of a request.

use std::collections::BTreeMap;

/// What a request's field is: a text nearly always.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: equal to nothing, not even to itself.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several values, for `in`.
    List(Vec<Value>),
    /// Attributes: `r.sub.age`. One that is not there is [`Value::Null`].
    Map(BTreeMap<String, Value>),
    /// A text with attributes: it compares as the text, and `r.sub.age` works all the same.
    Named(String, BTreeMap<String, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
