//! Policy files: lines of fields between commas, of which the first says what the line is (`p`, `g`, `g2`, …).

use crate::error::{Place, Result, Source};
use std::{fmt, rc::Rc};

/// A line of a policy file.
#[derive(Clone, Debug)]
pub struct Rule {
    place: Place,
    /// `p`, `g`, …
    pub(crate) kind: String,
    pub(crate) fields: Vec<String>,
}

impl Rule {
    /// Its line in the file, counted from 1.
    pub fn line(&self) -> usize {
        self.place.line
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The field in this place, which every rule has that was loaded.
    pub(crate) fn field(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", String::as_str)
    }
}

/// `policy.csv:3: p, alice, data1, read`
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.file, self.place.line, self.kind)?;
        self.fields.iter().try_for_each(|field| write!(f, ", {field}"))
    }
}

/// The lines of a file but for empty ones and comments (`#`).
pub(crate) fn parse(source: Source<'_>) -> Result<Vec<Rule>> {
    let file: Rc<str> = source.name.into();
    let mut rules = Vec::new();
    for (text, line) in source.text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let place = Place { file: Rc::clone(&file), line };
        let mut fields = fields(text).map_err(|e| place.error(e))?;
        let kind = fields.remove(0);
        rules.push(Rule { place, kind, fields });
    }
    Ok(rules)
}

/// At least one. A field in quotes may hold commas, and quotes that are doubled.
fn fields(mut text: &str) -> std::result::Result<Vec<String>, String> {
    let mut fields = Vec::new();
    loop {
        text = text.trim_start();
        let (field, rest) = if let Some(quoted) = text.strip_prefix('"') {
            let (field, after) = unquote(quoted).ok_or("a quote without its end")?;
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(rest) => (field, Some(rest)),
                None if after.is_empty() => (field, None),
                None => return Err(format!("a comma expected before `{after}`")),
            }
        } else {
            match text.split_once(',') {
                Some((field, rest)) => (field.trim_end().to_owned(), Some(rest)),
                None => (text.trim_end().to_owned(), None),
            }
        };
        fields.push(field);
        match rest {
            Some(rest) => text = rest,
            None => return Ok(fields),
        }
    }
}

/// Up to the quote that ends it, and what comes after.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        content.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                content.push('"');
                rest = more;
            }
            None => return Some((content, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "# comment\n\np, alice , \"a, \"\"b\"\"\",read\r\np, r.age > 18 && r.x == \"a\", ,\ng, alice, admin";
        let rules = parse(Source { name: "p.csv", text }).unwrap();
        let shown: Vec<_> = rules.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["p.csv:3: p, alice, a, \"b\", read", "p.csv:4: p, r.age > 18 && r.x == \"a\", , ", "p.csv:5: g, alice, admin"]);
        assert_eq!(rules[0].fields, ["alice", "a, \"b\"", "read"]);
    }

    #[test]
    fn mistakes() {
        for (text, message) in
            [("p, \"a", "p.csv:1: a quote without its end"), ("p, \"a\" b, c", "p.csv:1: a comma expected before `b, c`")]
        {
            assert_eq!(parse(Source { name: "p.csv", text }).unwrap_err().to_string(), message);
        }
    }
}
