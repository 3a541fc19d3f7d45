//! Words as Dockerfile instructions have them: quotes, escapes and variables.

use wharf_types::{Error, Result};

/// Splits `text` at white space outside quotes and resolves quotes, backslashes, `$NAME` and `${NAME}` (from `NAME=value` lines;
/// unset ones are empty). Single quotes keep everything.
pub(crate) fn split(text: &str, env: &[String]) -> Result<Vec<String>> {
    resolve(text, env, true)
}

/// As [`split`], but white space is part of the one word.
pub(crate) fn whole(text: &str, env: &[String]) -> Result<String> {
    Ok(resolve(text, env, false)?.pop().unwrap_or_default())
}

fn resolve(text: &str, env: &[String], splits: bool) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if splits && c.is_whitespace() => done.extend(word.take()),
            (None, '\\') => word.get_or_insert_default().extend(chars.next().or(Some('\\'))),
            (Some('"'), '\\') => {
                let kept = word.get_or_insert_default();
                if !chars.peek().is_some_and(|n| matches!(n, '"' | '\\' | '$')) {
                    kept.push('\\');
                }
                kept.extend(chars.next());
            }
            (None | Some('"'), '$') => {
                let mut name = String::new();
                if chars.next_if_eq(&'{').is_some() {
                    let mut closed = false;
                    for c in chars.by_ref() {
                        closed = c == '}';
                        if closed {
                            break;
                        }
                        name.push(c);
                    }
                    if !closed || !is_name(&name) {
                        return Err(Error::invalid(format!("failed to process \"{text}\": unsupported substitution ${{{name}}}")));
                    }
                } else {
                    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        name.push(c);
                    }
                }
                word.get_or_insert_default().push_str(&if name.is_empty() { "$".to_owned() } else { lookup(env, &name) });
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::invalid(format!("failed to process \"{text}\": unexpected end of statement while looking for matching quote")));
    }
    done.extend(word);
    Ok(done)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn lookup(env: &[String], name: &str) -> String {
    let found = env.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words() {
        let env = ["A=1".to_owned(), "P=/bin".to_owned()];
        for (text, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"a="x y" 'b  $A' c\ d"#, vec!["a=x y", "b  $A", "c d"]),
            (r#"P=$P:${A}x "$A" \$A "\$A""#, vec!["P=/bin:1x", "1", "$A", "$A"]),
            ("$NONE x", vec!["", "x"]),
            (r#""" $"#, vec!["", "$"]),
        ] {
            assert_eq!(split(text, &env).unwrap(), expected, "{text}");
        }
        assert_eq!(whole("a  b", &env).unwrap(), "a  b");
        for bad in ["'a", "\"a", "${A", "${A:-b}", "${}"] {
            assert!(split(bad, &env).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a $\\\\{}'\"=é]{0,20}") {
            let _ = split(&text, &["a=b".to_owned()]);
        }
    }
}
