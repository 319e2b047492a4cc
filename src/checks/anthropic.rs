//! Anthropic's API: it accepts the key.

use async_trait::async_trait;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::api::{self, ModelsRequest};
use super::fields::header_value;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::net::Tls;
use crate::runtime::Context;

/// Anthropic's API, or one that speaks it at `base_url`, accepts the key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnthropicCheck {
    pub api_key: Secret,
    /// Without the version, as Anthropic's own clients take it: `https://api.anthropic.com`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for AnthropicCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.request().map(drop)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        // Not counted: the list comes in pages.
        let (finding, _) = api::models(context, self.request(), &self.tls).await?;
        Ok(finding)
    }
}

impl AnthropicCheck {
    fn request(&self) -> Result<ModelsRequest, SpecError> {
        let url = api::below(self.base_url.as_deref().unwrap_or("https://api.anthropic.com"), &["v1", "models"])?;
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-api-key"), header_value("api_key", self.api_key.expose())?),
            (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01")),
        ]);
        Ok(ModelsRequest { url, headers })
    }
}
