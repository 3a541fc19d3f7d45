//! `wharf:host/timers`: see [`crate::wasm::timers`].

use super::{super::bindings::host::timers as wit, Cx};

impl wit::Host for Cx {
    async fn set(&mut self, name: String, delay: u64, period: Option<u64>) -> Result<(), String> {
        let timers = self.shared.timers.clone().ok_or("no permission")?;
        let now = self.shared.around.clock.now();
        self.shared.jobs.run(move || timers.set(&name, delay, period, now)).await?
    }

    async fn cancel(&mut self, name: String) {
        if let Some(timers) = self.shared.timers.clone() {
            let _ = self.shared.jobs.run(move || timers.cancel(&name)).await;
        }
    }
}
