-- Initial passwords, which have to be changed, and transfers of lines between accounts, which need a second person.
-- Every added column has a default: the previous release goes on writing rows without it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The password was chosen by staff: until its owner has changed it, it is good for nothing else.
ALTER TABLE users ADD COLUMN initial_password boolean NOT NULL DEFAULT false;

-- A line that one account holds and another shall have. line_index is the keyed hash of the number, line_masked its text for staff;
-- the number itself is taken from the account that holds it. A transfer waits until it is confirmed or expires. No foreign key to
-- users: the account that shall have the line may not exist yet.
CREATE TABLE line_transfers (
    id uuid PRIMARY KEY,
    line_index bytea NOT NULL,
    line_masked text NOT NULL,
    to_user text NOT NULL,
    proposed_by text NOT NULL,
    reason text NOT NULL,
    proposed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    confirmed_by text,
    confirmed_at timestamptz
);
CREATE INDEX line_transfers_waiting ON line_transfers (expires_at) WHERE confirmed_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON line_transfers TO phonebill_auth;
