-- The audit log is read by who did something and by what was done, the newest first. audit_log_at and audit_log_subject serve the rest.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS audit_log_actor; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_log_actor ON audit_log (actor, at);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS audit_log_action;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_log_action ON audit_log (action, at);
RESET lock_timeout;
RESET statement_timeout;
