-- When customers' operations are switched off: one row at most, which gateways read through the auth service. The
-- release before does not know the table.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE maintenance (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    scope text NOT NULL,
    announcement text NOT NULL,
    switched_by text NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON maintenance TO phonebill_auth;
