-- What each customer has spent of the KOS budget of late, so that one customer cannot spend it for all.
-- Expand only: the release before neither reads nor writes it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Unlogged: what a crash forgets costs a few calls, and a write costs next to nothing.
CREATE UNLOGGED TABLE customer_calls (
    customer_index bytea PRIMARY KEY, -- blind index of the user id
    calls timestamptz [] NOT NULL, -- in order of time, those that still count
    version bigint NOT NULL, -- raised by every write
    written_at timestamptz NOT NULL
);
CREATE INDEX customer_calls_written_at ON customer_calls (written_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON customer_calls TO phonebill_kos;
