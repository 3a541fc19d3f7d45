//! A directory of an NFS share for each volume.

use serde::Deserialize;
use wharf_plugin::{
    Plugin, export_volume_driver,
    host::config,
    volume::{Answer, DriverCapabilities, MountPlan, Publication, Volume, VolumeDriver},
};

#[derive(Deserialize)]
struct Share {
    #[serde(rename = "SHARE")]
    share: String,
}

impl Plugin for Share {
    fn start() -> Result<Self, String> {
        let share: Self = config::parse()?;
        if share.share.contains(":/") { Ok(share) } else { Err(format!("SHARE is server:/path, not {}", share.share)) }
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
        let plan = MountPlan::new("nfs4", &self.share).option("soft").below(&volume.name);
        Ok(if volume.options.is_empty() { plan } else { plan.read_only() }.into())
    }
}

export_volume_driver!(Share);
