-- Lanes of the budget, and the squeeze after KOS has said E429.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE quota_ledger ADD COLUMN lane text NOT NULL DEFAULT 'read';

-- One row: to how many percent the budget is lowered, and until when.
CREATE TABLE quota_squeeze (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    percent bigint NOT NULL,
    until timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON quota_squeeze TO phonebill_kos;
