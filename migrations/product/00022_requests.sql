-- Change orders as the requests that sql/request works on (migrations/request). A simple view: queries and updates through
-- it are those of the table, with its indexes and its locks, so the release before may run beside. Expand only.
-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- What is not completed, by state: as inquiries have it, so that one query serves both. The state is indexed as an
-- expression, which only the lists of staff ask by: claims keep their own indexes. The two indexes that it replaces stay for
-- the release before.
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_uncompleted; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_uncompleted ON change_orders (upper(state), requested_at DESC, id DESC)
WHERE state <> 'COMPLETED';
-- The status is Order.Public of core/product.
CREATE OR REPLACE VIEW requests AS
SELECT id, 'CHANGE'::text AS kind, user_id, line_index AS subject_index,
    state, upper(state) AS stored_state, state <> 'COMPLETED' AS uncompleted,
    state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN') AS waiting, state = 'PARKED' AS parked,
    CASE
        WHEN state IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN state
        WHEN state IN ('REQUESTED', 'VALIDATED') AND sends = 0 THEN 'PENDING'
        ELSE 'PROCESSING'
    END AS status,
    requested_at, processed_at, next_attempt_at, trace_id, delivery_state, delivery_sequence, delivery_attempts,
    delivery_next_at, delivery_fence, delivered_at, delivery_replayed_at
FROM change_orders;
GRANT SELECT, UPDATE (
    delivery_state, delivery_sequence, delivery_attempts, delivery_next_at, delivery_fence, delivered_at, delivery_replayed_at
) ON requests TO phonebill_product;
RESET lock_timeout;
RESET statement_timeout;
