-- The call log tells which attempt of a question a call was, and in which state its circuit breaker let it through.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE kos_calls ADD COLUMN attempt bigint NOT NULL DEFAULT 1;
ALTER TABLE kos_calls ADD COLUMN breaker text NOT NULL DEFAULT 'CLOSED';

-- No new grants: the role may already insert into and read the table.
