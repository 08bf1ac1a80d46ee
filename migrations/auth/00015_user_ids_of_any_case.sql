-- The index by which an account is found whatever the case of its id, built without stopping its writers; that cannot run in a transaction.
-- It is not unique: accounts of before may differ in case alone, and stay. The next migration keeps new ones from it.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_folded ON users (lower(user_id COLLATE "C"));
RESET lock_timeout;
RESET statement_timeout;
