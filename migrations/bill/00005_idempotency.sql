-- Idempotency keys of POST /bills/inquiry, and which failed inquiries failed because KOS did not answer.
-- Expand only: to the release before such a row is FAILED like the others.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Keys are digests. A key is new again after 24 h; rows older than that are dropped.
CREATE TABLE idempotency_keys (
    user_id text NOT NULL,
    key_hash bytea NOT NULL,
    payload_hash bytea NOT NULL,
    request_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX idempotency_keys_used ON idempotency_keys (used_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO phonebill_bill;

ALTER TABLE inquiries ADD COLUMN timed_out boolean NOT NULL DEFAULT false;
