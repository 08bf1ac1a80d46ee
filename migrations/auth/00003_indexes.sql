-- Indexes on tables that are in use, built without stopping their writers; that cannot run in a transaction.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_epoch ON users (epoch_at) WHERE epoch_at IS NOT NULL;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_noted ON sessions ((coalesce(noted_at, revoked_at))) WHERE revoked_at IS NOT NULL;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS login_attempts_updated ON login_attempts (updated_at);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS login_attempts_user ON login_attempts (user_index);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS login_history_subject ON login_history (subject, at DESC, id DESC);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_live ON sessions (user_id, created_at) WHERE revoked_at IS NULL;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS sessions_expires ON sessions (expires_at);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_status ON users (status, user_id);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS user_roles_staff ON user_roles (role, user_id) WHERE role <> 'CUSTOMER';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS login_attempts_locked ON login_attempts (locked_until) WHERE locked_until IS NOT NULL;
RESET lock_timeout;
RESET statement_timeout;
