-- Inquiries as the requests that sql/request works on (migrations/request). A simple view: queries and updates through it
-- are those of the table, with its indexes and its locks, so the release before may run beside. Expand only.
-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
CREATE VIEW requests AS
SELECT id, 'INQUIRY'::text AS kind, user_id, line_index AS subject_index,
    CASE WHEN timed_out THEN 'TIMEOUT' ELSE status END AS state, status AS stored_state,
    status <> 'COMPLETED' AS uncompleted, status = 'PROCESSING' AS waiting, false AS parked, status,
    requested_at, processed_at, next_attempt_at, trace_id, delivery_state, delivery_sequence, delivery_attempts,
    delivery_next_at, delivery_fence, delivered_at, delivery_replayed_at
FROM inquiries;
GRANT SELECT, UPDATE (
    delivery_state, delivery_sequence, delivery_attempts, delivery_next_at, delivery_fence, delivered_at, delivery_replayed_at
) ON requests TO phonebill_bill;
