//! The model file: sections in brackets, `key = value` lines, comments after `#` and `;`, lines that go on after a `\`.

use crate::{
    effect::Effect,
    error::{Error, Place, Result, Source},
};
use std::rc::Rc;

/// What a model file says; the matcher is still text.
#[derive(Debug)]
pub(crate) struct Model {
    /// `r`: the fields of a request.
    pub request: Vec<String>,
    /// `p`: the fields of a rule.
    pub rule: Vec<String>,
    /// `g`, `g2`, …: their names and how many places they have.
    pub roles: Vec<(String, usize)>,
    pub effect: Effect,
    pub matcher: String,
    pub matcher_place: Place,
}

struct Line {
    section: String,
    key: String,
    value: String,
    place: Place,
}

impl Model {
    pub fn parse(source: Source<'_>) -> Result<Self> {
        let lines = lines(source)?;
        let one = |section: &str, key: &str| {
            let missing = || Error { file: source.name.to_owned(), line: 0, message: format!("`{key} = …` is missing in [{section}]") };
            lines.iter().find(|l| l.section == section && l.key == key).ok_or_else(missing)
        };
        for (at, line) in lines.iter().enumerate() {
            let known = match line.section.as_str() {
                "request_definition" => line.key == "r",
                "policy_definition" => line.key == "p",
                "policy_effect" => line.key == "e",
                "matchers" => line.key == "m",
                "role_definition" => line.key.strip_prefix('g').is_some_and(|n| n.is_empty() || n.parse::<u32>().is_ok()),
                section => return Err(line.place.error(format!("the section [{section}] is not supported"))),
            };
            if !known {
                return Err(line.place.error(format!("`{}` in [{}] is not supported", line.key, line.section)));
            }
            if lines.iter().take(at).any(|l| l.section == line.section && l.key == line.key) {
                return Err(line.place.error(format!("`{}` is there twice", line.key)));
            }
        }
        let matcher = one("matchers", "m")?;
        let effect = one("policy_effect", "e")?;
        Ok(Self {
            request: fields(one("request_definition", "r")?)?,
            rule: fields(one("policy_definition", "p")?)?,
            roles: lines.iter().filter(|l| l.section == "role_definition").map(role).collect::<Result<_>>()?,
            effect: Effect::parse(&effect.value).map_err(|e| effect.place.error(e))?,
            matcher: matcher.value.clone(),
            matcher_place: matcher.place.clone(),
        })
    }
}

fn lines(source: Source<'_>) -> Result<Vec<Line>> {
    let file: Rc<str> = source.name.into();
    let mut section = String::new();
    let mut found = Vec::new();
    let mut rest = source.text.trim_start_matches('\u{feff}').lines().zip(1..);
    while let Some((text, line)) = rest.next() {
        let place = Place { file: Rc::clone(&file), line };
        let mut text = content(text).to_owned();
        while let Some(begin) = text.strip_suffix('\\') {
            let next = rest.next().map_or("", |(next, _)| content(next));
            text = format!("{} {next}", begin.trim_end());
        }
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            section = name.trim().to_owned();
            continue;
        }
        let Some((key, value)) = text.split_once('=') else {
            return Err(place.error("neither `[section]` nor `key = value`"));
        };
        found.push(Line { section: section.clone(), key: key.trim().to_owned(), value: value.trim().to_owned(), place });
    }
    Ok(found)
}

/// A line without comment and space around it. A `#` within a text of a matcher is no comment.
fn content(line: &str) -> &str {
    if line.trim_start().starts_with(';') {
        return "";
    }
    let mut quote = None;
    let comment = line.char_indices().find(|(_, c)| {
        match (quote, c) {
            (Some(open), c) if open == *c => quote = None,
            (None, '"' | '\'') => quote = Some(*c),
            _ => {}
        }
        quote.is_none() && *c == '#'
    });
    comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line).trim()
}

fn fields(line: &Line) -> Result<Vec<String>> {
    let fields: Vec<String> = line.value.split(',').map(|f| f.trim().to_owned()).collect();
    for (at, field) in fields.iter().enumerate() {
        if field.is_empty() || !field.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(line.place.error(format!("`{field}` is no name of a field")));
        }
        if fields.iter().take(at).any(|f| f == field) {
            return Err(line.place.error(format!("the field `{field}` is there twice")));
        }
    }
    Ok(fields)
}

fn role(line: &Line) -> Result<(String, usize)> {
    let places: Vec<&str> = line.value.split(',').map(str::trim).collect();
    match places.len() {
        2 | 3 if places.iter().all(|p| *p == "_") => Ok((line.key.clone(), places.len())),
        _ => Err(line.place.error(format!("a role definition is `_, _` or `_, _, _`, not `{}`", line.value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RBAC: &str = "\
# a comment
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
; another
[role_definition]
g = _, _
g2 = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj \\
  && r.act == \"#\" # the end
";

    #[test]
    fn reads() {
        let model = Model::parse(Source { name: "m.conf", text: RBAC }).unwrap();
        assert_eq!(model.request, ["sub", "obj", "act"]);
        assert_eq!(model.roles, [("g".to_owned(), 2), ("g2".to_owned(), 3)]);
        assert_eq!(model.matcher, "g(r.sub, p.sub) && r.obj == p.obj && r.act == \"#\"");
        assert_eq!(model.matcher_place.line, 13);
    }

    #[test]
    fn mistakes() {
        for (from, to, message) in [
            ("g2 = _, _, _", "g2 = _", "m.conf:9: a role definition is `_, _` or `_, _, _`, not `_`"),
            ("g2 = ", "h = ", "m.conf:9: `h` in [role_definition] is not supported"),
            ("g2 = ", "g = ", "m.conf:9: `g` is there twice"),
            ("[matchers]", "[matcher]", "m.conf:13: the section [matcher] is not supported"),
            ("r = sub, obj, act", "", "m.conf: `r = …` is missing in [request_definition]"),
            ("r = sub, obj", "r = sub, sub", "m.conf:3: the field `sub` is there twice"),
            ("e = some", "e = most", "m.conf:11: the effect `most(where (p.eft == allow))` is not supported"),
            ("[policy_effect]", "policy_effect", "m.conf:10: neither `[section]` nor `key = value`"),
        ] {
            let text = RBAC.replace(from, to);
            assert_eq!(Model::parse(Source { name: "m.conf", text: &text }).unwrap_err().to_string(), message);
        }
    }
}
