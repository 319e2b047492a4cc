//! The dead man's switch: a URL that one process of the scope requests once a minute, since what is dead sends no alert.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use tokio::time::timeout_at;

use super::alerts::Alerts;
use crate::model::CheckError;
use crate::model::clock::Moment;
use crate::net::Tls;
use crate::net::http::get;
use crate::runtime::tasks::run_blocking;
use crate::runtime::{Context, Process, diagnostics};

const EVERY: Duration = Duration::from_secs(60);
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
const LOGGER: &str = "lifesigns.incidents";

/// Requests the URL of the settings in a task of its own, if it is this process's turn.
pub async fn ping_if_due(alerts: &Arc<Alerts>, process: &Arc<Process>) {
    if alerts.settings.ping_url.is_none() {
        return;
    }
    let claiming = alerts.clone();
    if run_blocking(move || claim(&claiming)).await.unwrap_or_default() {
        process.spawn(ping(alerts.clone(), process.clone()));
    }
}

fn claim(alerts: &Alerts) -> bool {
    let (Some(stores), now) = (alerts.stores(), Moment::now()) else { return false };
    if !stores.control.read(None, |control| control.is_ping_due(now, EVERY)) {
        return false;
    }
    let mut is_claimed = false;
    let _ = stores.control.update(LOCK_TIMEOUT, |control| {
        is_claimed = control.claim_ping(now, EVERY);
        is_claimed
    });
    is_claimed
}

async fn ping(alerts: Arc<Alerts>, process: Arc<Process>) {
    let Some(url) = alerts.settings.ping_url.clone() else { return };
    let context = Context::new(process, alerts.settings.timeout);
    let requested = async {
        let response = get(&context, url, HeaderMap::new(), &Tls::default()).await?;
        let status = response.status;
        // Read, so that the connection is kept.
        response.body().await?;
        Ok::<u16, CheckError>(status)
    };
    let failure = match timeout_at(context.deadline(), requested).await {
        Ok(Ok(200..=299)) => None,
        Ok(Ok(status)) => Some(format!("HTTP status {status}")),
        Ok(Err(error)) => Some(error.code().to_owned()),
        Err(_elapsed) => Some(format!("TimeoutError after {} s", context.timeout().as_secs_f64())),
    };
    let _ = run_blocking(move || report(&alerts, failure)).await;
}

/// Logs a failure, and its end, once for all processes.
fn report(alerts: &Alerts, failure: Option<String>) {
    let Some(stores) = alerts.stores() else { return };
    let mut is_change = false;
    let noted = stores.control.update(LOCK_TIMEOUT, |control| {
        is_change = control.note_ping(failure.is_some());
        is_change
    });
    if noted.is_ok() && is_change {
        let text = match failure {
            Some(failure) => format!("PING_URL cannot be requested: {failure}; it is requested again every minute"),
            None => "PING_URL is requested again".to_owned(),
        };
        diagnostics::publish_to(LOGGER, true, text);
    }
}
