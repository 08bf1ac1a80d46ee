-- name: AddOrder :execrows
INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code, from_name, to_code, to_name,
    effective_date, state, requested_at, next_attempt_at, delivery_state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'NONE')
ON CONFLICT (line_index) WHERE state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED') DO NOTHING;

-- name: Order :one
SELECT * FROM change_orders WHERE id = $1;

-- name: LiveOrder :one
SELECT * FROM change_orders
WHERE line_index = $1 AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED');

-- name: SaveOrder :execrows
UPDATE change_orders SET from_name = @from_name, to_name = @to_name, state = @state, processed_at = @processed_at,
    result_code = @result_code, result_message = @result_message, failure_reason = @failure_reason, kos_order = @kos_order,
    sends = @sends, reconciles = @reconciles, next_attempt_at = @next_attempt_at, delivery_state = @delivery_state,
    delivery_next_at = @delivery_next_at
WHERE id = @id AND fence = @fence AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED');

-- name: RecordStep :exec
INSERT INTO order_steps (order_id, state, result_code, sends) VALUES ($1, $2, $3, $4);

-- name: ClaimOrders :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN') AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::integer FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET next_attempt_at = @lease_until::timestamptz, fence = o.fence + 1
FROM due WHERE o.id = due.id
RETURNING o.*;

-- name: OrderHistory :many
SELECT * FROM change_orders
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz)
ORDER BY requested_at DESC, id DESC LIMIT @size::integer OFFSET @skip::integer;

-- name: CountOrders :one
SELECT count(*) FROM change_orders
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz);

-- Of each line only the head may be claimed: the event whose number is already given, else the oldest one.
-- name: ClaimDeliveries :many
WITH due AS (
    SELECT d.id, d.line_index, d.delivery_sequence FROM change_orders d
    WHERE d.delivery_state = 'PENDING' AND d.delivery_next_at <= @now::timestamptz
        AND NOT EXISTS (
            SELECT 1 FROM change_orders e
            WHERE e.line_index = d.line_index AND e.delivery_state = 'PENDING'
                AND (coalesce(e.delivery_sequence, 9223372036854775807), e.id)
                < (coalesce(d.delivery_sequence, 9223372036854775807), d.id)
        )
    ORDER BY d.delivery_next_at LIMIT @n::integer FOR UPDATE SKIP LOCKED
), numbered AS (
    INSERT INTO delivery_sequences AS s (line_index, last)
    SELECT due.line_index, 1 FROM due WHERE due.delivery_sequence IS NULL
    ON CONFLICT (line_index) DO UPDATE SET last = s.last + 1
    RETURNING s.line_index, s.last
)
UPDATE change_orders o SET delivery_sequence = coalesce(o.delivery_sequence, numbered.last),
    delivery_next_at = @lease_until::timestamptz, delivery_fence = o.delivery_fence + 1
FROM due LEFT JOIN numbered ON numbered.line_index = due.line_index
WHERE o.id = due.id
RETURNING o.*;

-- name: SettleDelivery :execrows
UPDATE change_orders SET delivery_state = @state, delivery_next_at = @next_at, delivery_attempts = delivery_attempts + 1,
    delivered_at = @delivered_at
WHERE id = @id AND delivery_fence = @fence AND delivery_state = 'PENDING';

-- name: RecordDelivery :exec
INSERT INTO delivery_attempts (event_id, fence, at, state, note) VALUES ($1, $2, $3, $4, $5);
