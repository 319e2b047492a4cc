//! OpenAI's API, or one that speaks it: it accepts the key.

use async_trait::async_trait;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use url::Url;

use super::api;
use super::fields::validated;
use super::http::header_value;
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
        self.url()?;
        self.headers().map(drop)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let (finding, models) =
            api::models(context, validated(self.url())?, validated(self.headers())?, &self.tls).await?;
        Ok(match models {
            Some(models) => finding.with("models_available", models),
            None => finding,
        })
    }
}

impl OpenAiCheck {
    fn url(&self) -> Result<Url, SpecError> {
        api::below(self.base_url.as_deref().unwrap_or("https://api.openai.com/v1"), &["models"])
    }

    fn headers(&self) -> Result<HeaderMap, SpecError> {
        let bearer = header_value("api_key", &format!("Bearer {}", self.api_key.expose()))?;
        Ok(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
    }
}
