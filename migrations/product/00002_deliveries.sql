-- Deliveries that staff look at and have told again. Expand only: the release before does not know the column, and claims by the same
-- rows and the same lock.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS delivery_replayed_at timestamptz;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_parked ON change_orders (id) WHERE delivery_state = 'PARKED';
RESET lock_timeout;
RESET statement_timeout;
