-- Versions and epochs of accounts, guesses under judgement, second factors, rotation of signing keys, service keys, the audit log.
-- Every added column is nullable or has a default: the previous release goes on writing rows without it (ADR 30).

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- version counts every change of the account (optimistic updates); epoch counts changes of its rights and epoch_at is when the last
-- one happened: tokens of an older epoch are dead (ADR 14).
ALTER TABLE users
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
    ADD COLUMN epoch_at timestamptz;

ALTER TABLE user_grants
    ADD COLUMN granted_by text NOT NULL DEFAULT '',
    ADD COLUMN granted_at timestamptz NOT NULL DEFAULT now();

-- Guesses that were taken and are not judged yet; after pending_until they count as failed (their process died), which begins a new
-- round. user_index is the keyed hash of the id, by which the counters of its devices are found.
ALTER TABLE login_attempts
    ADD COLUMN pending bigint NOT NULL DEFAULT 0,
    ADD COLUMN pending_until timestamptz,
    ADD COLUMN round bigint NOT NULL DEFAULT 0,
    ADD COLUMN user_index bytea;

-- When this database was told that the session had ended, by its own clock: the feed of revocations goes by it. The previous release
-- leaves it empty; revoked_at stands in.
ALTER TABLE sessions ADD COLUMN noted_at timestamptz;

-- Which system logged the user in, when it was not the user's own device (ADR 29).
ALTER TABLE login_history ADD COLUMN service text NOT NULL DEFAULT '';

-- A key signs from active_at (null: since it was created) until a younger one does; it is refused from retired_at on.
ALTER TABLE signing_keys
    ADD COLUMN active_at timestamptz,
    ADD COLUMN retired_at timestamptz;

-- One second factor per account. last_step is the RFC 6238 time step of the last code accepted: none is accepted twice.
CREATE TABLE user_totp (
    user_id text PRIMARY KEY REFERENCES users (user_id),
    secret_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);

-- code_index is a keyed hash; a used code stays, used.
CREATE TABLE user_recovery_codes (
    user_id text NOT NULL REFERENCES users (user_id),
    code_index bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_index)
);

-- Credentials of other systems that call us for their users (ADR 29). key_hash is SHA-256 of a 256-bit random key.
CREATE TABLE service_keys (
    key_hash bytea PRIMARY KEY,
    service text NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz
);

-- What staff did: append-only, without foreign keys, hash-chained per writer (ADR 26). detail is JSON without personal data.
CREATE TABLE audit_log (
    writer uuid NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    ip text NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (writer, seq)
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_subject ON audit_log (subject, at);

-- A signed statement of every chain's head at a moment; it names the checkpoint before.
CREATE TABLE audit_checkpoints (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    heads text NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    kid text NOT NULL,
    signature bytea NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON user_totp, user_recovery_codes TO phonebill_auth;
GRANT SELECT, INSERT, UPDATE ON service_keys TO phonebill_auth;
GRANT DELETE ON sessions TO phonebill_auth;
GRANT UPDATE (retired_at) ON signing_keys TO phonebill_auth;
GRANT SELECT, INSERT ON audit_log, audit_checkpoints TO phonebill_auth;
