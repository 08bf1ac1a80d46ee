-- Second factors that another person made, and those that are to take the place of one that counts.
-- Every added column has a default or is nullable: the previous release goes on writing rows without it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Another person made the second factor and so knows its secret: the owner has to enrol anew before anything else.
ALTER TABLE users ADD COLUMN factor_handed_over boolean NOT NULL DEFAULT false;

-- A secret that takes the place of the confirmed one once its owner has shown a code of it; the confirmed one counts until then.
ALTER TABLE user_totp
    ADD COLUMN next_sealed bytea,
    ADD COLUMN next_created_at timestamptz;
