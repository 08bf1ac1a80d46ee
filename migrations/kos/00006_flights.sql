-- Questions to KOS under way and what is remembered of the last ones, while the cache cannot be asked about them.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE flights (
    kind text NOT NULL,
    line_index bytea NOT NULL, -- empty for the plan list
    month text NOT NULL, -- empty for what has none
    token text NOT NULL, -- of who asks; empty when nobody does
    until timestamptz NOT NULL, -- of the lease, or of the note
    refusal text NOT NULL DEFAULT '',
    failures bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00',
    PRIMARY KEY (kind, line_index, month)
);
CREATE INDEX flights_until ON flights (until);

GRANT SELECT, INSERT, UPDATE, DELETE ON flights TO phonebill_kos;
