-- Rows of the audit log that carry a keyed hash, and the checkpoint after which no other rows are believed. The release before leaves both
-- columns at their defaults, and goes on writing rows without a key until that checkpoint is made.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE audit_log ADD COLUMN keyed boolean NOT NULL DEFAULT false;
ALTER TABLE audit_checkpoints ADD COLUMN closes boolean NOT NULL DEFAULT false;

-- No new grants: the role may already insert into and read both tables.
