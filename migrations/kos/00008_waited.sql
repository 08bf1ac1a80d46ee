-- The call log tells how long a call waited for its turn (bulkhead and budget) before it was made.
-- Expand only: the release before leaves the column at 0.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE kos_calls ADD COLUMN waited_ms bigint NOT NULL DEFAULT 0;

-- No new grants: the role may already insert into and read the table.
