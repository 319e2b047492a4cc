-- The tables of the replaced application as Django made them on MariaDB, with rows.
CREATE TABLE core_health_check_log (
    id bigint AUTO_INCREMENT NOT NULL PRIMARY KEY,
    check_name varchar(100) NOT NULL,
    status varchar(20) NOT NULL,
    message longtext NOT NULL,
    details json NOT NULL,
    duration_ms double precision NOT NULL,
    checked_at datetime(6) NOT NULL,
    correlation_id uuid NULL
);
CREATE INDEX core_health_check_log_check_name_aa ON core_health_check_log (check_name);
CREATE INDEX core_health_check_log_status_bb ON core_health_check_log (status);
CREATE INDEX core_health_check_log_checked_at_cc ON core_health_check_log (checked_at);
CREATE INDEX core_health_check_n_idx ON core_health_check_log (check_name, checked_at DESC);
CREATE TABLE core_service_availability (
    id bigint AUTO_INCREMENT NOT NULL PRIMARY KEY,
    service_name varchar(100) NOT NULL UNIQUE,
    total_checks integer NOT NULL,
    successful_checks integer NOT NULL,
    failed_checks integer NOT NULL,
    degraded_checks integer NOT NULL,
    last_check_at datetime(6) NULL,
    last_success_at datetime(6) NULL,
    last_failure_at datetime(6) NULL,
    uptime_percentage double precision NOT NULL,
    created_at datetime(6) NOT NULL,
    updated_at datetime(6) NOT NULL
);
CREATE TABLE core_alert_threshold (
    id bigint AUTO_INCREMENT NOT NULL PRIMARY KEY,
    metric_type varchar(50) NOT NULL,
    alert_level varchar(20) NOT NULL,
    threshold_value double precision NOT NULL,
    enabled bool NOT NULL,
    description longtext NOT NULL,
    created_at datetime(6) NOT NULL,
    updated_at datetime(6) NOT NULL,
    UNIQUE (metric_type, alert_level)
);
INSERT INTO core_health_check_log (check_name, status, message, details, duration_ms, checked_at) VALUES
    ('disk_space', 'healthy', 'fine', '{"free": 1}', 1.5, '2025-09-01 10:00:00'),
    ('disk_space', 'error', 'full', '{}', 2.5, '2025-09-02 10:00:00');
INSERT INTO core_service_availability (
    service_name, total_checks, successful_checks, failed_checks, degraded_checks, uptime_percentage, created_at, updated_at
) VALUES ('disk_space', 3, 2, 1, 0, 66.7, '2025-09-01 10:00:00', '2025-09-02 10:00:00');
INSERT INTO core_alert_threshold (
    metric_type, alert_level, threshold_value, enabled, description, created_at, updated_at
) VALUES ('disk_usage', 'warning', 70, true, 'ours', '2025-09-01 10:00:00', '2025-09-01 10:00:00');
