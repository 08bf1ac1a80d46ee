-- Which customer of KOS was seen first for an account that names none. Only keyed hashes are kept.
-- Expand only: the release before neither reads nor writes it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE account_customers (
    account_index bytea NOT NULL, -- blind index of the user id
    line_index bytea NOT NULL, -- empty where the account is bound as a whole
    customer_index bytea NOT NULL, -- blind index of KOS's customer id
    bound_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_index, line_index)
);

GRANT SELECT, INSERT ON account_customers TO phonebill_kos;
