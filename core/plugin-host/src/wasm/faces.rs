//! What a component is to the rest of the engine: for each kind that it exports, instances of its own.

use super::{
    authz::Authz,
    context::{Generation, Shared},
    describe::Description,
    instance::Template,
    ipam::Ipam,
    logging::Driver as LogDriver,
    metrics_sink::Metrics,
    package::Package,
    pool::{Adopt, Export, Instances, Pool},
    transform::Transform,
    volume::Driver as VolumeDriver,
};
use std::{sync::Arc, time::Instant};
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::Result;

#[derive(Default)]
pub(super) struct Faces {
    pub authz: Option<Arc<Pool<Authz>>>,
    pub logging: Option<Arc<LogDriver>>,
    pub transform: Option<Arc<Pool<Transform>>>,
    pub volume: Option<Arc<VolumeDriver>>,
    pub metrics: Option<Arc<Pool<Metrics>>>,
    pub ipam: Option<Arc<Pool<Ipam>>>,
    all: Vec<Arc<dyn Instances>>,
}

impl Faces {
    /// Starts a first instance for each kind.
    ///
    /// # Errors
    /// What the start of one says.
    pub async fn new(
        template: &Template,
        description: &Description,
        package: &Package,
        shared: &Arc<Shared>,
        generation: &Arc<Generation>,
    ) -> Result<Self> {
        let mut faces = Self::default();
        let from = From { template, package, shared, generation };
        for kind in &description.kinds {
            match kind {
                Kind::Authz => faces.authz = Some(from.pool(&mut faces.all).await?),
                Kind::Logging => faces.logging = Some(Arc::new(LogDriver::new(from.pool(&mut faces.all).await?))),
                Kind::LogTransform => faces.transform = Some(from.pool(&mut faces.all).await?),
                Kind::Volume => {
                    let pool = from.pool(&mut faces.all).await?;
                    faces.volume = Some(Arc::new(VolumeDriver::new(pool, package.grants.clone())));
                }
                Kind::Metrics => faces.metrics = Some(from.pool(&mut faces.all).await?),
                Kind::Ipam => faces.ipam = Some(from.pool(&mut faces.all).await?),
            }
        }
        Ok(faces)
    }

    /// Replaces all instances by those of a new generation, when the first of each kind starts and takes a `reload`.
    ///
    /// # Errors
    /// What the plugin says; all old instances stay.
    pub async fn replace(&self, generation: &Arc<Generation>) -> Result<()> {
        let mut ready: Vec<Adopt> = Vec::with_capacity(self.all.len());
        for pool in &self.all {
            ready.push(Arc::clone(pool).prepare(Arc::clone(generation)).await?);
        }
        ready.into_iter().for_each(|adopt| adopt());
        Ok(())
    }

    pub fn shrink(&self, now: Instant) {
        self.all.iter().for_each(|pool| pool.shrink(now));
    }

    /// Tells one instance of each kind that a timer went off. Whether all were told, well or not.
    pub async fn wake(&self, timer: &str) -> bool {
        let mut told = true;
        for pool in &self.all {
            told &= pool.wake(timer).await;
        }
        told
    }

    pub async fn stop(&self) {
        for pool in &self.all {
            pool.stop().await;
        }
    }
}

struct From<'a> {
    template: &'a Template,
    package: &'a Package,
    shared: &'a Arc<Shared>,
    generation: &'a Arc<Generation>,
}

impl From<'_> {
    async fn pool<E: Export>(&self, all: &mut Vec<Arc<dyn Instances>>) -> Result<Arc<Pool<E>>> {
        let bounds = self.package.limits.resolve(E::KIND)?;
        let pool = Arc::new(Pool::new(self.template.clone(), Arc::clone(self.shared), Arc::clone(self.generation), bounds).await?);
        all.push(Arc::clone(&pool) as Arc<dyn Instances>);
        Ok(pool)
    }
}
