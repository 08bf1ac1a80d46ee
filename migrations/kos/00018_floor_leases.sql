-- Which process may spend a floor of the budget of calls while the ledger cannot be asked, and until when (ADR 10).
-- Expand only: the release before neither reads nor writes it.
--
-- The release before takes its floors off the budget for good and spends them without a lease. While both releases run, a
-- window holds at most the whole budget and the floors of the processes of the release before: by default 95 calls and 4
-- times 1, which is 99 in 62 s and within the 100 in 60 s that KOS allows. With KOS_INSTANCES times KOS_FLOOR above 5, set
-- KOS_FLOOR to 0 in the release before, and wait one window, before this release starts.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- A row counts from its grant until one window after its expiry; then it is deleted. Read and written under the lock of the
-- ledger, by the database's clock.
CREATE TABLE floor_leases (
    holder text PRIMARY KEY, -- made anew with each start of a process
    calls bigint NOT NULL CHECK (calls > 0),
    granted_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at >= granted_at)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON floor_leases TO phonebill_kos;
