//! What the rules that match add up to.

/// The effect of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eft {
    Allow,
    Deny,
    /// It decides nothing.
    Indeterminate,
}

impl Eft {
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            "indeterminate" => Ok(Self::Indeterminate),
            _ => Err(format!("the effect `{word}` is none of allow, deny and indeterminate")),
        }
    }
}

/// How a model combines effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// One that allows is enough.
    SomeAllow,
    /// All is allowed but what a rule denies.
    NoDeny,
    /// One that allows and none that denies.
    SomeAllowNoDeny,
    /// The first that says something.
    Priority,
}

impl Effect {
    pub fn parse(text: &str) -> Result<Self, String> {
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match dense.as_str() {
            "some(where(p.eft==allow))" => Ok(Self::SomeAllow),
            "!some(where(p.eft==deny))" => Ok(Self::NoDeny),
            "some(where(p.eft==allow))&&!some(where(p.eft==deny))" => Ok(Self::SomeAllowNoDeny),
            "priority(p.eft)||deny" => Ok(Self::Priority),
            _ => Err(format!("the effect `{text}` is not supported")),
        }
    }

    /// What it is before the first rule.
    pub fn start(self) -> Tally {
        Tally { effect: self, allowed: self == Self::NoDeny, rule: None }
    }
}

/// The rules so far.
#[derive(Debug)]
pub(crate) struct Tally {
    effect: Effect,
    pub allowed: bool,
    /// The rule that made it so, by its place.
    pub rule: Option<usize>,
}

impl Tally {
    /// Takes the next rule that matches, in their order. Answers whether the rest may be left out.
    pub fn push(&mut self, eft: Eft, rule: usize) -> bool {
        let (allowed, done) = match (self.effect, eft) {
            (_, Eft::Indeterminate) | (Effect::SomeAllow, Eft::Deny) | (Effect::NoDeny, Eft::Allow) => return false,
            (Effect::SomeAllowNoDeny, Eft::Allow) if self.rule.is_some() => return false,
            (Effect::SomeAllowNoDeny, Eft::Allow) => (true, false),
            (Effect::SomeAllow | Effect::Priority, Eft::Allow) => (true, true),
            (Effect::NoDeny | Effect::SomeAllowNoDeny | Effect::Priority, Eft::Deny) => (false, true),
        };
        self.allowed = allowed;
        self.rule = Some(rule);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums() {
        use Eft::{Allow, Deny, Indeterminate};
        let sum = |text: &str, efts: &[Eft]| {
            let mut tally = Effect::parse(text).unwrap().start();
            let _ = efts.iter().enumerate().any(|(rule, eft)| tally.push(*eft, rule));
            (tally.allowed, tally.rule)
        };
        let both = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
        for (text, efts, expected) in [
            ("some(where (p.eft == allow))", &[Deny, Allow, Allow][..], (true, Some(1))),
            ("some(where (p.eft == allow))", &[Deny, Indeterminate], (false, None)),
            ("!some(where (p.eft == deny))", &[], (true, None)),
            ("!some(where (p.eft == deny))", &[Allow, Deny], (false, Some(1))),
            (both, &[], (false, None)),
            (both, &[Allow, Allow, Indeterminate], (true, Some(0))),
            (both, &[Allow, Deny, Allow], (false, Some(1))),
            ("priority(p.eft) || deny", &[Indeterminate, Allow, Deny], (true, Some(1))),
            ("priority(p.eft)||deny", &[], (false, None)),
        ] {
            assert_eq!(sum(text, efts), expected, "{text} {efts:?}");
        }
        assert!(Effect::parse("some(where (p.eft == deny))").is_err());
    }
}
