-- What the checks postgresql_functions, task_queue, pending_tasks, failed_tasks and task_workers look for.
SET ROLE app;

CREATE FUNCTION cleanup_expired_sessions() RETURNS integer LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION cleanup_select2_cache() RETURNS integer LANGUAGE sql AS 'SELECT 0';
CREATE FUNCTION refresh_select2_materialized_views() RETURNS void LANGUAGE sql AS '';

CREATE TABLE background_task (
    id bigserial PRIMARY KEY,
    queue_name text NOT NULL,
    status text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO background_task (queue_name, status)
VALUES ('default', 'pending'), ('default', 'pending'), ('mail', 'pending'), ('default', 'completed');

CREATE TABLE background_task_worker (
    worker_id text PRIMARY KEY,
    last_heartbeat timestamptz NOT NULL
);
INSERT INTO background_task_worker VALUES ('worker-1', now());
