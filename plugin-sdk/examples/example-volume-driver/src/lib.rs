//! A directory of an SMB share for each volume. The password is a secret, which the engine adds to the plan: the plugin does not see it.

use serde::Deserialize;
use wharf_plugin::{
    Plugin, export_volume_driver,
    host::{config, secrets},
    volume::{Answer, DriverCapabilities, MountPlan, Publication, Volume, VolumeDriver},
};

#[derive(Deserialize)]
struct Share {
    #[serde(rename = "SHARE")]
    share: String,
    #[serde(rename = "USER")]
    user: String,
}

impl Plugin for Share {
    fn start() -> Result<Self, String> {
        let share: Self = config::parse()?;
        if share.share.starts_with("//") { Ok(share) } else { Err(format!("SHARE is //server/name, not {}", share.share)) }
    }
}

impl VolumeDriver for Share {
    fn capabilities(&self) -> DriverCapabilities {
        DriverCapabilities { global: true, shared: true }
    }

    fn validate(&mut self, options: &[(String, String)]) -> Result<(), String> {
        match options.iter().find(|(key, value)| key != "read-only" || value != "true") {
            Some((key, value)) => Err(format!("unknown option {key}={value}: there is read-only=true")),
            None => Ok(()),
        }
    }

    /// The directories of the share are made by who keeps it.
    fn create(&mut self, _key: &str, _volume: &Volume) -> Result<Answer, String> {
        Ok(Answer::Done)
    }

    fn remove(&mut self, _key: &str, _volume: &Volume) -> Result<Answer, String> {
        Ok(Answer::Done)
    }

    fn publish(&mut self, _key: &str, volume: &Volume) -> Result<Publication, String> {
        let password = secrets::open("PASSWORD")?;
        let user = format!("username={}", self.user);
        let plan = MountPlan::new("cifs", &self.share).option(user).secret("password=", password).below(&volume.name);
        Ok(if volume.options.is_empty() { plan } else { plan.read_only() }.into())
    }
}

export_volume_driver!(Share);
