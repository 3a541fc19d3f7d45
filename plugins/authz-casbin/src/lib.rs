//! Authorization with Casbin's models and policies: the README says what a policy can speak of.
//!
//! This file is the plugin; everything else is plain Rust that its tests run anywhere. A request becomes what a policy knows in
//! [`subject`] and [`object`], and [`judge`] puts the answers together.

mod judge;
mod object;
mod settings;
mod subject;

use casbin_policy::Source;
use judge::Judge;
use settings::Settings;
use wharf_plugin::{
    Plugin,
    authz::{Authorizer, Caller, Decision, Interest, Object, Request},
    export_authorizer,
    host::{config, files},
    info,
};

struct Casbin(Judge);

impl Plugin for Casbin {
    fn start() -> Result<Self, String> {
        let settings = Settings::parse(&config::settings())?;
        let (model, policy) = (files::read_to_string(&settings.model)?, files::read_to_string(&settings.policy)?);
        let (model, policy) = (Source { name: &settings.model, text: &model }, Source { name: &settings.policy, text: &policy });
        let judge = Judge::new(model, policy, settings.clone())?;
        let mode = if settings.dry_run { ", as a dry run: nothing is refused" } else { "" };
        info!("{} rules from {}{mode}", judge.rules(), settings.policy);
        Ok(Self(judge))
    }
}

impl Authorizer for Casbin {
    fn interests(&self) -> Interest {
        Interest { input: self.0.reads_input(), filter: self.0.filters() }
    }

    fn judge(&self, request: &Request) -> Result<Decision, String> {
        self.0.judge(request)
    }

    fn filter(&self, caller: &Caller, objects: &[Object]) -> Result<Vec<bool>, String> {
        self.0.filter(caller, objects)
    }
}

export_authorizer!(Casbin);

#[cfg(test)]
mod examples;
