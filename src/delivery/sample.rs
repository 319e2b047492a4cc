//! A notice for the tests of the channels.

use std::time::{Duration, SystemTime};

use crate::model::{Instances, Notice, NoticeKind, Severity, Status};

/// A check that has failed for 12 minutes and 30 seconds, on two of three instances.
pub fn notice() -> Notice {
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_960_800);
    Notice {
        id: "notice-1".to_owned(),
        kind: NoticeKind::Triggered,
        at: since + Duration::from_secs(750),
        dedup_key: "lifesigns/shop/database_connectivity".to_owned(),
        incident_id: "incident-7".to_owned(),
        application: "shop".to_owned(),
        check: "database_connectivity".to_owned(),
        status: Status::Error,
        severity: Severity::Critical,
        since,
        message: "127.0.0.1:5432 refused the connection".to_owned(),
        blocked: vec!["postgis_extension".to_owned(), "connection_pool".to_owned()],
        actions: Vec::new(),
        instances: Instances { failing: 2, total: 3, names: vec!["web-1".to_owned(), "web-2".to_owned()] },
        is_flapping: false,
        is_test: false,
        acknowledged_by: None,
        runbook: Some("https://wiki.example.org/db".to_owned()),
        url: Some("https://shop.example.org/health/dashboard/".to_owned()),
    }
}

/// The same, once it is over.
pub fn resolved() -> Notice {
    Notice {
        id: "notice-2".to_owned(),
        kind: NoticeKind::Resolved,
        status: Status::Healthy,
        message: "Connected".to_owned(),
        blocked: Vec::new(),
        actions: Vec::new(),
        instances: Instances { failing: 0, ..notice().instances },
        ..notice()
    }
}
