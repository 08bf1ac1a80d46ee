-- Change orders as the requests that sql/request works on (migrations/request). A simple view: queries and updates through
-- it are those of the table, with its indexes and its locks, so the release before may run beside. Expand only.
-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
-- The status is Order.Public of core/product.
CREATE VIEW requests AS
SELECT id, 'CHANGE'::text AS kind, user_id, line_index AS subject_index,
    state, state AS stored_state, state <> 'COMPLETED' AS uncompleted,
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
