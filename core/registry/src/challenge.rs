//! The challenges of a 401: `WWW-Authenticate` (RFC 9110, section 11.6.1).
//!
//! Registries send one challenge in a header, or several, or several headers. What cannot be read ends the reading of its header;
//! the challenges before it count.

/// One way to authenticate that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `basic`, `bearer`.
    pub scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges in one header.
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = header;
    // Only the start and a comma can come before a scheme; another word there is a token68, which no scheme here uses.
    let mut separated = true;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        while let Some(after) = rest.strip_prefix(',') {
            (rest, separated) = (after.trim_start_matches([' ', '\t']), true);
        }
        let Some((word, after)) = token(rest) else { return challenges };
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=').map(|v| v.trim_start_matches([' ', '\t']));
        match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = quoted(value).or_else(|| token(value).map(|(v, after)| (v.to_owned(), after))) else {
                    return challenges;
                };
                challenge.parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                if separated {
                    challenges.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
                }
                rest = after;
            }
        }
        separated = false;
    }
}

/// A word up to a delimiter. Unquoted values of some registries have slashes and colons, so these belong to it.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A quoted string, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(header: &str) -> Vec<(String, Vec<(String, String)>)> {
        parse(header).into_iter().map(|c| (c.scheme, c.parameters)).collect()
    }
    fn one(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        (scheme.to_owned(), parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let parameters =
            [("realm", "https://auth.docker.io/token"), ("service", "registry.docker.io"), ("scope", "repository:a/b:pull,push")];
        assert_eq!(read(hub), [one("bearer", &parameters)]);
        assert_eq!(parse(hub)[0].get("service"), Some("registry.docker.io"));
        assert_eq!(read(r#"BASIC Realm = "a \"b\" \\ c""#), [one("basic", &[("realm", r#"a "b" \ c"#)])]);
        assert_eq!(
            read("Bearer realm=https://h:5000/t?a,service=x"),
            [one("bearer", &[("realm", "https://h:5000/t?a"), ("service", "x")])]
        );
        assert_eq!(read("Negotiate"), [one("negotiate", &[])]);
    }

    #[test]
    fn several_in_one_header() {
        let both = r#"Basic realm="r", Negotiate YWJj , , Bearer realm="t", service="s""#;
        assert_eq!(
            read(both),
            [one("basic", &[("realm", "r")]), one("negotiate", &[]), one("bearer", &[("realm", "t"), ("service", "s")])]
        );
    }

    #[test]
    fn what_is_broken_ends_the_header() {
        for nothing in ["", " , ", "=x", "a=b", "\"Basic\""] {
            assert_eq!(read(nothing), [], "{nothing}");
        }
        assert_eq!(read(r#"Basic realm="open"#), [one("basic", &[])]);
        assert_eq!(read(r#"Basic realm="r" ="#), [one("basic", &[("realm", "r")])]);
        assert_eq!(read("Bearer realm="), [one("bearer", &[])]);
    }

    proptest! {
        #[test]
        fn never_panics(header in r#"([ ,="\\]|[a-zA-Zß/:]{1,5}|.)*"#) {
            parse(&header);
        }

        #[test]
        fn quoted_values_come_back(values in proptest::collection::vec(".*", 1..4)) {
            let parameters = values.iter().enumerate().map(|(i, v)| format!("p{i}=\"{}\"", v.replace('\\', "\\\\").replace('"', "\\\"")));
            let challenges = parse(&format!("Bearer {}", parameters.collect::<Vec<_>>().join(",")));
            prop_assert_eq!(challenges.len(), 1);
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(challenges[0].get(&format!("p{i}")), Some(value.as_str()));
            }
        }
    }
}
