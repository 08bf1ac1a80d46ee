-- When an epoch was stored, by this database's clock: instances pull what was raised and tell their cache (ADR 6). The previous
-- release stamps first raises alone; its later ones are told to the cache by the instance that raises, as before.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The lines changed so far get one time, without a rewrite of the table.
ALTER TABLE line_epochs ADD COLUMN raised_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE line_epochs ALTER COLUMN raised_at SET DEFAULT clock_timestamp();

-- The table holds a row per line that ever changed its plan: small enough to index where it stands.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX line_epochs_raised ON line_epochs (raised_at);

GRANT SELECT, INSERT, UPDATE ON line_epochs TO phonebill_kos;
