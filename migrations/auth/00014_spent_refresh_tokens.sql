-- When the last refresh tokens of a session were spent: within the grace of its own rotation a token is no theft.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Two arrays of one length, oldest first: generations before the last one that was spent (rotated_at has the time of that one) and when.
-- Each has its generation beside it, since an instance of the previous release rotates without writing here. At most 32, none of them
-- older than the grace at the last rotation.
ALTER TABLE sessions
    ADD COLUMN spent_generations bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN spent_at timestamptz[] NOT NULL DEFAULT '{}';
