-- The trace id under which an inquiry was accepted, which the customer can quote. Rows of before have none, and the release before leaves it
-- at its default.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE inquiries ADD COLUMN trace_id text NOT NULL DEFAULT '';

-- No new grants: the role may insert it already, and not change it later.
