-- No row means that another order of the line is live.
-- name: AddOrder :execrows
WITH added AS (
    INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code, from_name,
        to_code, to_name, effective_rule, effective_date, state, requested_at, next_attempt_at, trace_id,
        delivery_state)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'NONE')
    ON CONFLICT (line_index) WHERE state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED') DO NOTHING
    RETURNING id, requested_at, state, result_code, sends
)
INSERT INTO order_steps (order_id, at, state, result_code, sends)
SELECT added.id, added.requested_at, added.state, added.result_code, added.sends FROM added;

-- name: Order :one
SELECT * FROM change_orders WHERE id = $1;

-- name: LiveOrder :one
SELECT * FROM change_orders
WHERE line_index = $1 AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED');

-- An order that KOS may have seen neither gets another transaction id nor is cancelled.
-- name: SaveOrder :execrows
WITH saved AS (
    UPDATE change_orders SET transaction_id = @transaction_id, effective_date = @effective_date, from_name = @from_name,
        to_name = @to_name, to_plan = @to_plan, checked_at = sqlc.narg('checked_at'), state = @state,
        processed_at = sqlc.narg('processed_at'), result_code = @result_code,
        result_message = @result_message, failure_reason = @failure_reason, kos_order = @kos_order, sends = @sends,
        reconciles = @reconciles, next_attempt_at = @next_attempt_at, held = @held, version = version + 1,
        delivery_state = @delivery_state, delivery_next_at = sqlc.narg('delivery_next_at'),
        notify_at = sqlc.narg('processed_at')
    WHERE id = @id AND fence = @fence AND version = @version
        AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED')
        AND (sends = 0 OR transaction_id = @transaction_id)
        AND (@state <> 'CANCELLED' OR (sends = 0 AND state IN ('REQUESTED', 'VALIDATED')))
    RETURNING id, state, result_code, sends, next_attempt_at
)
INSERT INTO order_steps (order_id, at, state, result_code, sends, note, next_at)
SELECT saved.id, @at, saved.state, saved.result_code, saved.sends, @note::text, saved.next_attempt_at FROM saved;

-- name: ClaimNewOrders :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.state = 'REQUESTED' AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET next_attempt_at = @lease_until::timestamptz, fence = o.fence + 1, version = o.version + 1
FROM due WHERE o.id = due.id
RETURNING o.*;

-- name: ClaimBegunOrders :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.state IN ('VALIDATED', 'DISPATCHED', 'UNKNOWN') AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET next_attempt_at = @lease_until::timestamptz, fence = o.fence + 1, version = o.version + 1
FROM due WHERE o.id = due.id
RETURNING o.*;

-- One page of a customer's history from its first row on, as in sql/bill. The status is Order.Public of core/product.
-- name: OrderHistory :many
SELECT * FROM change_orders o
WHERE o.user_id = @user_id AND o.line_index = ANY(@lines::bytea[])
    AND o.requested_at >= coalesce(sqlc.narg('since')::timestamptz, '-infinity')
    AND (o.requested_at, o.id) <= (@from_at::timestamptz, @from_id::uuid)
    AND (@status::text = '' OR @status::text = CASE
        WHEN o.state IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN o.state
        WHEN o.state IN ('REQUESTED', 'VALIDATED') AND o.sends = 0 THEN 'PENDING'
        ELSE 'PROCESSING'
    END)
ORDER BY o.requested_at DESC, o.id DESC LIMIT @size::bigint;

-- name: ChangedSince :one
SELECT EXISTS (
    SELECT 1 FROM change_orders WHERE line_index = @line_index AND state = 'COMPLETED'
        AND processed_at >= @since::timestamptz
)::boolean;

-- name: OrdersByID :many
SELECT * FROM change_orders WHERE id = ANY(@ids::uuid[]);
