//! Asks a policy: `judge MODEL POLICY VALUE…`, the values in the order of the model's request definition. Prints the decision and
//! the rule that made it; exits with 0 when it is allowed, 1 when not, 2 for a mistake.

use casbin_policy::{Matching, Policy, Source, Value};
use std::process::ExitCode;

fn main() -> ExitCode {
    match judge() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn judge() -> Result<bool, String> {
    let mut arguments = std::env::args().skip(1);
    let mut file = || {
        let path = arguments.next().ok_or("usage: judge MODEL POLICY VALUE…")?;
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        Ok::<_, String>((path, text))
    };
    let ((model, model_text), (rules, rules_text)) = (file()?, file()?);
    let (model, rules) = (Source { name: &model, text: &model_text }, Source { name: &rules, text: &rules_text });
    let policy = Policy::load(model, &[rules], &Matching::default()).map_err(|e| e.to_string())?;
    let values: Vec<Value> = arguments.map(Value::from).collect();
    let decision = policy.judge(&values.iter().collect::<Vec<_>>()).map_err(|e| e.to_string())?;
    println!("{}", if decision.allowed { "allow" } else { "deny" });
    if let Some(rule) = decision.rule {
        println!("{rule}");
    }
    Ok(decision.allowed)
}
