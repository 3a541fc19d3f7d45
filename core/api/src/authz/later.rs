//! Objects that become known only while a request is executed, because its body names them.

use super::{Question, absent, failed};
use crate::{cx::Context, endpoint::Endpoint};
use wharf_spi::authz::Object;
use wharf_types::{Error, Result};

impl Question {
    /// Makes it the question about an input that is judged already, for [`Question::ask_about`].
    ///
    /// # Errors
    /// When the input cannot be shown to authorizers.
    pub fn of<C: Context, E: Endpoint<C>>(mut self, cx: &C, input: &E::Input) -> Result<Self> {
        self.describe::<C, E>(cx, input)?;
        Ok(self)
    }

    /// Asks every authorizer again, now about these objects of the request.
    ///
    /// # Errors
    /// As [`Question::ask`]; nothing can be changed any more, so a wish for it is a failure.
    pub async fn ask_about(&mut self, objects: Vec<Object>) -> Result<()> {
        self.request.targets = objects;
        self.look(absent).await?;
        for authorizer in self.chain.iter() {
            if !self.put(authorizer.as_ref(), absent).await?.is_empty() {
                let late = Error::system(format!("{} takes no changes", self.request.action.0));
                return Err(failed(authorizer.name(), &late).into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authz::of_name, testing};
    use std::sync::Arc;
    use wharf_engine::Judged;
    use wharf_spi::{
        NoExtensions,
        authz::{Action, Authorizer, AuthzRequest, Decision, Patch, Verdict},
    };
    use wharf_types::ErrorKind;

    /// Guards the image `victim:1`, and wants changes of others but `new:1`.
    struct Guard;

    #[async_trait::async_trait]
    impl Authorizer for Guard {
        fn name(&self) -> &str {
            "guard"
        }
        async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
            assert_eq!(rq.action.0, "image.load");
            let verdict = |object: &Object| match (object.name.as_str(), object.named.as_str()) {
                ("victim:1", _) => Verdict::deny("hands off"),
                (_, "new:1") => Verdict::Allow,
                _ => Verdict::AllowWith(vec![Patch::ReadOnlyRootfs]),
            };
            Ok(verdict(rq.targets.first().unwrap()).into())
        }
    }

    fn question(authorizer: impl Authorizer + 'static) -> Question {
        let request = AuthzRequest {
            caller: Default::default(),
            action: Action("image.load"),
            api_version: "1.41".to_owned(),
            targets: Vec::new(),
            exposure: None,
            input: String::new(),
            http: Default::default(),
        };
        Question { extensions: Arc::new(NoExtensions), chain: Arc::new([Arc::new(authorizer)]), request, judged: Judged::default() }
    }

    #[tokio::test]
    async fn who_has_a_name_is_judged() {
        let victim = testing::image(&["victim:1"]);
        let ask = |name: &str, held: bool| {
            let object = of_name(&name.parse().unwrap(), held.then_some(&victim));
            async move { question(Guard).ask_about(vec![object]).await.map_err(|e| (e.kind(), e.message().to_owned())) }
        };
        let denied = (ErrorKind::Forbidden, "authorization denied by plugin guard: hands off".to_owned());
        assert_eq!(ask("victim:1", true).await, Err(denied));
        assert_eq!(ask("new:1", false).await, Ok(()));
        let failed = (ErrorKind::System, "plugin guard failed with error: image.load takes no changes".to_owned());
        assert_eq!(ask("other:1", false).await, Err(failed));
        // One that the caller does not see is not there.
        let hidden = question(testing::Hides("victim")).ask_about(vec![of_name(&"victim:1".parse().unwrap(), Some(&victim))]).await;
        assert_eq!(hidden.unwrap_err().message(), "No such image: victim:1");
    }
}
