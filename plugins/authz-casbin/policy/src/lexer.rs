//! The words of a matcher.

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name, or names joined by dots: `r.sub.age`, `keyMatch`, `in`.
    Name(String),
    Text(String),
    Number(f64),
    /// Operators and brackets.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 25] =
    ["&&", "||", "==", "!=", "<=", ">=", "=~", "!~", "!", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "?", ":", "&", "|"];

/// Everything up to the end or to a comment.
pub(crate) fn tokens(mut text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        let Some(first) = text.chars().next() else { return Ok(found) };
        let (token, rest) = match first {
            '#' => return Ok(found),
            '"' | '\'' => quoted(text, first)?,
            '0'..='9' => number(text)?,
            _ if first.is_alphabetic() || first == '_' => name(text),
            _ => {
                let sign = SIGNS.into_iter().find(|s| text.starts_with(s)).ok_or_else(|| format!("unexpected `{first}`"))?;
                (Token::Sign(sign), text.get(sign.len()..).unwrap_or_default())
            }
        };
        found.push(token);
        text = rest;
    }
}

fn name(text: &str) -> (Token, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (Token::Name(name.to_owned()), rest)
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
    Ok((Token::Number(number), rest))
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => content.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, c @ ('\\' | '"' | '\''))) => c,
                _ => return Err(format!("unknown escape in {text}")),
            }),
            _ if c == quote => return Ok((Token::Text(content), text.get(at + c.len_utf8()..).unwrap_or_default())),
            _ => content.push(c),
        }
    }
    Err(format!("a text without its end: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let found = tokens(r#"r.sub=='a\'b' && !g(r.age,"é#") >= 1.5 # and so on"#).unwrap();
        let name = |n: &str| Token::Name(n.to_owned());
        let text = |t: &str| Token::Text(t.to_owned());
        let sign = Token::Sign;
        let expected = [name("r.sub"), sign("=="), text("a'b"), sign("&&"), sign("!"), name("g"), sign("("), name("r.age"), sign(",")];
        assert_eq!(found[..9], expected);
        assert_eq!(found[9..], [text("é#"), sign(")"), sign(">="), Token::Number(1.5)]);
    }

    #[test]
    fn mistakes() {
        for (text, message) in [("'a", "a text without its end: 'a"), ("1x", "`1x` is not a number"), ("a @ b", "unexpected `@`")] {
            assert_eq!(tokens(text), Err(message.to_owned()));
        }
        assert!(tokens(r"'\d'").is_err());
    }
}
