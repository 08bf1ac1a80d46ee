-- How often each member of staff searched for exactly one line lately.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- One row per person, as the audit log names that person; times are those of the last hour, and none is kept that was refused.
CREATE TABLE exact_searches (
    person text PRIMARY KEY,
    times timestamptz[] NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON exact_searches TO phonebill_auth;
