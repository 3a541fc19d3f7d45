//! From words to trees. The operators bind as in Casbin: `||`, `&&`, equality, `in`, order, sums, products, signs.

use crate::{
    expr::{Expr, Operator},
    lexer::{self, Token},
    pattern::Function,
};
use std::{iter::Peekable, vec::IntoIter};

/// Brackets and signs within each other; more is a mistake, and would cost stack.
const DEPTH: usize = 100;

/// What names in a matcher can mean.
pub(crate) struct Scope<'m> {
    /// The fields of a request.
    pub request: &'m [String],
    /// The fields of a rule.
    pub rule: &'m [String],
    /// The role definitions and how many arguments they take.
    pub roles: &'m [(String, usize)],
}

/// The matcher that `text` says.
pub(crate) fn parse(text: &str, scope: &Scope<'_>) -> Result<Expr, String> {
    let tokens = lexer::tokens(text)?.into_iter().peekable();
    let mut parser = Parser { tokens, scope, depth: 0 };
    let expr = parser.expression()?;
    match parser.tokens.next() {
        None => Ok(expr),
        Some(token) => Err(format!("unexpected {}", shown(&token))),
    }
}

struct Parser<'s, 'm> {
    tokens: Peekable<IntoIter<Token>>,
    scope: &'s Scope<'m>,
    depth: usize,
}

fn shown(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("`{name}`"),
        Token::Text(text) => format!("{text:?}"),
        Token::Number(number) => format!("`{number}`"),
        Token::Sign("?" | ":") => "`?:` (conditions are not supported)".to_owned(),
        Token::Sign(sign) => format!("`{sign}`"),
    }
}

impl Parser<'_, '_> {
    fn takes(&mut self, sign: &'static str) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    fn expects(&mut self, sign: &'static str) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            Some(token) => Err(format!("`{sign}` expected instead of {}", shown(&token))),
            None => Err(format!("`{sign}` is missing at the end")),
        }
    }

    fn expression(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("more than {DEPTH} levels of brackets and signs"));
        }
        let expr = self.joined("||", Expr::Or, |p| p.joined("&&", Expr::And, |p| p.binary(0)))?;
        self.depth -= 1;
        Ok(expr)
    }

    fn joined(
        &mut self,
        sign: &'static str,
        join: fn(Vec<Expr>) -> Expr,
        part: impl Fn(&mut Self) -> Result<Expr, String>,
    ) -> Result<Expr, String> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.takes(sign) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
    }

    /// Operators of `level` and those that bind more tightly; all group to the left.
    fn binary(&mut self, level: usize) -> Result<Expr, String> {
        if level == 5 {
            return self.sign();
        }
        let mut left = self.binary(level + 1)?;
        while let Some((operator, negated)) = self.operator(level) {
            let right = self.binary(level + 1)?;
            left = match operator {
                Some(operator) => Expr::Binary(operator, Box::new(left), Box::new(right)),
                None => Expr::Call(Function::RegexMatch, vec![left, right]),
            };
            if negated {
                left = Expr::Not(Box::new(left));
            }
        }
        Ok(left)
    }

    /// The next operator when it is of this level; none within stands for `=~`, which is a function by another name.
    fn operator(&mut self, level: usize) -> Option<(Option<Operator>, bool)> {
        let operator = match (level, self.tokens.peek()?) {
            (0, Token::Sign("==")) => Operator::Equal,
            (0, Token::Sign("!=")) => Operator::Unequal,
            (0, Token::Sign(sign @ ("=~" | "!~"))) => {
                let negated = *sign == "!~";
                self.tokens.next();
                return Some((None, negated));
            }
            (1, Token::Name(name)) if name == "in" => Operator::In,
            (2, Token::Sign("<")) => Operator::Less,
            (2, Token::Sign("<=")) => Operator::LessOrEqual,
            (2, Token::Sign(">")) => Operator::Greater,
            (2, Token::Sign(">=")) => Operator::GreaterOrEqual,
            (3, Token::Sign("+")) => Operator::Add,
            (3, Token::Sign("-")) => Operator::Subtract,
            (4, Token::Sign("*")) => Operator::Multiply,
            (4, Token::Sign("/")) => Operator::Divide,
            (4, Token::Sign("%")) => Operator::Remainder,
            _ => return None,
        };
        self.tokens.next();
        Some((Some(operator), false))
    }

    fn sign(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("more than {DEPTH} levels of brackets and signs"));
        }
        let expr = if self.takes("!") {
            Expr::Not(Box::new(self.sign()?))
        } else if self.takes("-") {
            Expr::Negative(Box::new(self.sign()?))
        } else {
            self.atom()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn atom(&mut self) -> Result<Expr, String> {
        match self.tokens.next() {
            None => Err("the expression ends too early".to_owned()),
            Some(Token::Text(text)) => Ok(Expr::Text(text)),
            Some(Token::Number(number)) => Ok(Expr::Number(number)),
            Some(Token::Name(name)) if self.takes("(") => {
                let arguments = self.list(")")?;
                self.call(&name, arguments)
            }
            Some(Token::Name(name)) => self.name(&name),
            Some(Token::Sign("[")) => Ok(Expr::List(self.list("]")?)),
            // One expression in brackets is itself; several are a list, as in `r.act in ("read", "write")`.
            Some(Token::Sign("(")) => {
                let mut parts = self.list(")")?;
                Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::List(parts) })
            }
            Some(token) => Err(format!("unexpected {}", shown(&token))),
        }
    }

    /// Expressions between commas, up to and with `end`.
    fn list(&mut self, end: &'static str) -> Result<Vec<Expr>, String> {
        let mut parts = Vec::new();
        if self.takes(end) {
            return Ok(parts);
        }
        loop {
            parts.push(self.expression()?);
            if !self.takes(",") {
                self.expects(end)?;
                return Ok(parts);
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<Expr, String> {
        let mut words = name.split('.');
        let (base, field) = (words.next().unwrap_or_default(), words.next());
        let place = |fields: &[String]| fields.iter().position(|f| Some(f.as_str()) == field);
        match (base, field) {
            ("true", None) => Ok(Expr::Bool(true)),
            ("false", None) => Ok(Expr::Bool(false)),
            ("r", Some(_)) => {
                let field = place(self.scope.request).ok_or_else(|| format!("a request has no `{name}`"))?;
                let mut attributes: Vec<String> = words.map(str::to_owned).collect();
                while self.takes("[") {
                    match self.tokens.next() {
                        Some(Token::Text(key)) => attributes.push(key),
                        _ => return Err(format!("only a text can stand in the brackets after `{name}`")),
                    }
                    self.expects("]")?;
                }
                Ok(Expr::Request(field, attributes))
            }
            ("p", Some(_)) if words.next().is_some() => Err(format!("`{name}`: a rule's fields are texts without attributes")),
            ("p", Some(_)) => place(self.scope.rule).map(Expr::Rule).ok_or_else(|| format!("a rule has no `{name}`")),
            _ => Err(format!("unknown name `{name}`")),
        }
    }

    fn call(&self, name: &str, arguments: Vec<Expr>) -> Result<Expr, String> {
        let check = |wanted: usize| match arguments.len() {
            found if found == wanted => Ok(()),
            found => Err(format!("`{name}` takes {wanted} arguments, not {found}")),
        };
        if name == "eval" {
            check(1)?;
            return match arguments.first() {
                Some(Expr::Rule(field)) => Ok(Expr::Eval(*field)),
                _ => Err("only a field of a rule can stand in `eval(…)`".to_owned()),
            };
        }
        if let Some(place) = self.scope.roles.iter().position(|(role, _)| role == name) {
            check(self.scope.roles.get(place).map_or(0, |(_, arity)| *arity))?;
            return Ok(Expr::Role(place, arguments));
        }
        let function = Function::named(name).ok_or_else(|| format!("unknown function `{name}`"))?;
        check(function.arity())?;
        Ok(Expr::Call(function, arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Expr, String> {
        let fields = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let roles = [("g".to_owned(), 2)];
        parse(text, &Scope { request: &fields(&["sub", "obj"]), rule: &fields(&["sub", "rule"]), roles: &roles })
    }

    #[test]
    fn operators_bind() {
        assert_eq!(parsed("1 + 2 * 3 < 4 == true || false && !true"), parsed("(((1 + (2 * 3)) < 4) == true) || (false && (!true))"));
        assert_eq!(parsed("1 - 2 - 3"), parsed("(1 - 2) - 3"));
        assert_eq!(parsed("r.sub in ('a', 'b')"), parsed("r.sub in ['a', 'b']"));
        assert_eq!(parsed("r.sub =~ 'a'"), parsed("regexMatch(r.sub, 'a')"));
        assert_eq!(parsed("r.obj.labels[\"a.b\"]").unwrap(), Expr::Request(1, vec!["labels".into(), "a.b".into()]));
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("", "the expression ends too early"),
            ("r.sub ==", "the expression ends too early"),
            ("r.nobody == 1", "a request has no `r.nobody`"),
            ("p.sub.age == 1", "`p.sub.age`: a rule's fields are texts without attributes"),
            ("g(r.sub)", "`g` takes 2 arguments, not 1"),
            ("eval(r.sub)", "only a field of a rule can stand in `eval(…)`"),
            ("open('/etc')", "unknown function `open`"),
            ("sub == p.sub", "unknown name `sub`"),
            ("(r.sub == p.sub", "`)` is missing at the end"),
            ("r.sub == p.sub p.rule", "unexpected `p.rule`"),
            ("true ? 1 : 2", "unexpected `?:` (conditions are not supported)"),
        ] {
            assert_eq!(parsed(text), Err(message.to_owned()), "{text}");
        }
        assert!(parsed(&"(".repeat(100_000)).is_err());
        assert!(parsed(&"!".repeat(100_000)).is_err());
    }
}
