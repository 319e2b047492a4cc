-- Run in template1, so that databases made later (Django's test databases) have the extensions.
CREATE EXTENSION postgis;
CREATE EXTENSION pg_stat_statements;

CREATE ROLE app LOGIN CREATEDB PASSWORD :'app_password';
GRANT pg_monitor TO app;  -- pg_read_all_stats is part of it
CREATE DATABASE app OWNER app;

\connect app
SET ROLE app;

CREATE TABLE django_session (
    session_key varchar(40) PRIMARY KEY,
    session_data text NOT NULL,
    expire_date timestamptz NOT NULL
);
CREATE INDEX django_session_expire_date_a5c62663 ON django_session (expire_date);
INSERT INTO django_session
SELECT 'session' || n, 'e30', now() + interval '14 days' FROM generate_series(1, 3) AS n;
