//! OpenAI's API, or one that speaks it: it accepts the key.

use async_trait::async_trait;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;

use super::api::{self, ModelsRequest};
use super::fields::header_value;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::net::Tls;
use crate::runtime::Context;

/// OpenAI's API, or one that speaks it at `base_url`, accepts the key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiCheck {
    pub api_key: Secret,
    /// With the version, as OpenAI's own clients take it: `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for OpenAiCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.request().map(drop)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let (finding, models) = api::models(context, self.request(), &self.tls).await?;
        Ok(match models {
            Some(models) => finding.with("models_available", models),
            None => finding,
        })
    }
}

impl OpenAiCheck {
    fn request(&self) -> Result<ModelsRequest, SpecError> {
        let url = api::below(self.base_url.as_deref().unwrap_or("https://api.openai.com/v1"), &["models"])?;
        let bearer = header_value("api_key", &format!("Bearer {}", self.api_key.expose()))?;
        Ok(ModelsRequest { url, headers: HeaderMap::from_iter([(AUTHORIZATION, bearer)]) })
    }
}
