//! A request to a policy: one question for each name of the caller and each name of a thing, and what the answers add up to.
//!
//! A thing is allowed when some pair of names is and no rule denies one; a request is allowed when all its things are.

use crate::{
    object::{self, Thing},
    settings::Settings,
    subject,
};
use casbin_policy::{Matching, Policy, Source, Value};
use wharf_plugin::authz::{Caller, Decision, Denial, Object, Patch, Request, Verdict};

/// What creates something that can have a label.
const CREATIONS: [&str; 3] = ["container.create", "network.create", "volume.create"];

/// What the fields of a model's requests stand for, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Subject,
    Object,
    Action,
    Domain,
    Exposure,
    Input,
}

pub struct Judge {
    policy: Policy,
    fields: Vec<Field>,
    settings: Settings,
}

/// What is the same for all questions of a request.
struct Case {
    subjects: Vec<Value>,
    action: Value,
    exposure: Value,
    input: Value,
}

/// Whether a thing is allowed, and the rule that says so.
struct Answer {
    allowed: bool,
    rule: Option<String>,
}

impl Judge {
    pub fn new(model: Source<'_>, policy: Source<'_>, settings: Settings) -> Result<Self, String> {
        let pairs = |of: &std::collections::BTreeMap<String, String>| of.iter().map(|(a, b)| (a.clone(), b.clone())).collect();
        let matching = Matching { roles: pairs(&settings.role_matching), domains: pairs(&settings.domain_matching) };
        let policy = Policy::load(model, &[policy], &matching).map_err(|e| e.to_string())?;
        let field = |name: &String| match name.as_str() {
            "sub" => Ok(Field::Subject),
            "obj" => Ok(Field::Object),
            "act" => Ok(Field::Action),
            "dom" => Ok(Field::Domain),
            "exposure" => Ok(Field::Exposure),
            "input" => Ok(Field::Input),
            _ => Err(format!("{}: a request has no `{name}`; there are sub, obj, act, dom, exposure and input", model.name)),
        };
        let fields = policy.request().iter().map(field).collect::<Result<Vec<_>, _>>()?;
        if fields.contains(&Field::Domain) && settings.domain_label.is_empty() {
            return Err(format!("{}: requests have a domain (`dom`), but DOMAIN_LABEL is not set", model.name));
        }
        Ok(Self { policy, fields, settings })
    }

    pub fn rules(&self) -> usize {
        self.policy.len()
    }

    pub fn reads_input(&self) -> bool {
        self.fields.contains(&Field::Input)
    }

    pub fn filters(&self) -> bool {
        self.settings.hide && !self.settings.dry_run
    }

    /// A dry run allows everything, and says in the log what would have been.
    pub fn judge(&self, request: &Request) -> Result<Decision, String> {
        let decision = self.decide(request);
        if !self.settings.dry_run {
            return decision;
        }
        let rule = match decision {
            Ok(Decision { verdict: Verdict::Deny(denial), rule }) if rule.is_empty() => format!("dry run, would deny: {}", denial.reason),
            Ok(Decision { verdict: Verdict::Deny(denial), rule }) => format!("dry run, would deny: {} ({rule})", denial.reason),
            Ok(allowed) => return Ok(allowed),
            Err(error) => format!("dry run, would fail: {error}"),
        };
        Ok(Decision { verdict: self.allowance(request), rule })
    }

    fn decide(&self, request: &Request) -> Result<Decision, String> {
        // It was asked before a change of the model, which wanted none.
        if self.reads_input() && request.input.is_empty() {
            return Err("the model has `input`, and the request came without it".to_owned());
        }
        let case = Case {
            subjects: subject::subjects(&request.caller, &self.settings),
            action: request.action.as_str().into(),
            exposure: object::exposure(request.exposure.as_ref()),
            input: object::input(&request.input)?,
        };
        let mut rules: Vec<String> = Vec::new();
        for thing in object::things(request, &self.settings) {
            let answer = self.answer(&case, &thing)?;
            if !answer.allowed {
                return self.refusal(&case, &thing, answer.rule.unwrap_or_default());
            }
            rules.extend(answer.rule.filter(|rule| !rules.contains(rule)));
        }
        Ok(Decision { verdict: self.allowance(request), rule: rules.join("; ") })
    }

    fn answer(&self, case: &Case, thing: &Thing) -> Result<Answer, String> {
        let mut answer = Answer { allowed: false, rule: None };
        for subject in &case.subjects {
            for name in &thing.names {
                let value = |field: &Field| match field {
                    Field::Subject => subject,
                    Field::Object => name,
                    Field::Action => &case.action,
                    Field::Domain => &thing.domain,
                    Field::Exposure => &case.exposure,
                    Field::Input => &case.input,
                };
                let request: Vec<&Value> = self.fields.iter().map(value).collect();
                let decision = self.policy.judge(&request).map_err(|e| e.to_string())?;
                if !decision.allowed && decision.rule.is_some() {
                    return Ok(Answer { allowed: false, rule: decision.rule.map(ToString::to_string) });
                }
                if decision.allowed && !answer.allowed {
                    answer = Answer { allowed: true, rule: decision.rule.map(ToString::to_string) };
                }
            }
        }
        Ok(answer)
    }

    fn refusal(&self, case: &Case, thing: &Thing, rule: String) -> Result<Decision, String> {
        let reason = format!("{} may not {} {}", shown(case.subjects.first()), shown(Some(&case.action)), shown(thing.names.first()));
        let hide = self.settings.hide && thing.hideable && !self.visible(case, thing)?;
        Ok(Decision { verdict: Verdict::Deny(Denial { reason, hide }), rule })
    }

    fn visible(&self, case: &Case, thing: &Thing) -> Result<bool, String> {
        let kind = shown(thing.names.first()).split([':', '/']).next().unwrap_or_default();
        let case =
            Case { subjects: case.subjects.clone(), action: format!("{kind}.inspect").into(), exposure: Value::Null, input: Value::Null };
        Ok(self.answer(&case, thing)?.allowed)
    }

    /// What is created gets its owner's label.
    fn allowance(&self, request: &Request) -> Verdict {
        let label = &self.settings.owner_label;
        if label.is_empty() || !CREATIONS.contains(&request.action.as_str()) {
            return Verdict::Allow;
        }
        let owner = shown(subject::subjects(&request.caller, &self.settings).first()).to_owned();
        Verdict::AllowWith(vec![Patch::Label((label.clone(), owner))])
    }

    pub fn filter(&self, caller: &Caller, objects: &[Object]) -> Result<Vec<bool>, String> {
        let subjects = subject::subjects(caller, &self.settings);
        let mut case = Case { subjects, action: Value::Null, exposure: Value::Null, input: Value::Null };
        let seen = objects.iter().map(|object| {
            case.action = format!("{}.inspect", object::word(object.kind)).into();
            Ok(self.answer(&case, &object::of_object(object, &self.settings))?.allowed)
        });
        seen.collect()
    }
}

fn shown(value: Option<&Value>) -> &str {
    match value {
        Some(Value::Text(text) | Value::Named(text, _)) => text,
        _ => "",
    }
}
