-- Orders as ADR 22 and ADR 25 want them: idempotency keys, the plan as it was ordered, the rule of the day, a version.
-- Expand only: the release before neither knows nor needs the columns. It does not raise versions; the conditions of the new release's
-- writes name the states, too.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS to_plan jsonb;
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS effective_rule text NOT NULL DEFAULT 'FIRST_OF_NEXT_MONTH';
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS checked_at timestamptz;
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS held boolean NOT NULL DEFAULT false;
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS version bigint NOT NULL DEFAULT 0;
-- The line's changes of this month (optional rule).
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_completed; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_completed ON change_orders (line_index, requested_at) WHERE state = 'COMPLETED';
-- What is begun goes before what is new, however much of that waits; the old index serves the release before, and what is new.
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_begun; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_begun ON change_orders (next_attempt_at)
WHERE state IN ('VALIDATED', 'DISPATCHED', 'UNKNOWN');

-- Keys are digests. A key is new again after 24 h; rows older than that are dropped.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id text NOT NULL,
    key_hash bytea NOT NULL,
    payload_hash bytea NOT NULL,
    request_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_used ON idempotency_keys (used_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO phonebill_product;
RESET lock_timeout;
RESET statement_timeout;
