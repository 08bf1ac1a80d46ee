-- Why a session ended, for the client that asks with it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Empty while the session lives, and where the previous release ended it.
ALTER TABLE sessions ADD COLUMN end_reason text NOT NULL DEFAULT '';
