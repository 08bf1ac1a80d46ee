-- No row means that another order of the line is live.
-- name: AddOrder :execrows
WITH added AS (
    INSERT INTO change_orders (id, transaction_id, user_id, customer_id, line_sealed, line_index, from_code, from_name, to_code, to_name,
        effective_date, state, requested_at, next_attempt_at, delivery_state)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'NONE')
    ON CONFLICT (line_index) WHERE state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED') DO NOTHING
    RETURNING id, state, result_code, sends
)
INSERT INTO order_steps (order_id, state, result_code, sends)
SELECT added.id, added.state, added.result_code, added.sends FROM added;

-- name: Order :one
SELECT * FROM change_orders WHERE id = $1;

-- name: LiveOrder :one
SELECT * FROM change_orders
WHERE line_index = $1 AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED');

-- name: SaveOrder :execrows
WITH saved AS (
    UPDATE change_orders SET from_name = @from_name, to_name = @to_name, state = @state, processed_at = sqlc.narg('processed_at'),
        result_code = @result_code, result_message = @result_message, failure_reason = @failure_reason, kos_order = @kos_order,
        sends = @sends, reconciles = @reconciles, next_attempt_at = @next_attempt_at, delivery_state = @delivery_state,
        delivery_next_at = sqlc.narg('delivery_next_at')
    WHERE id = @id AND fence = @fence AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED')
    RETURNING id, state, result_code, sends
)
INSERT INTO order_steps (order_id, state, result_code, sends)
SELECT saved.id, saved.state, saved.result_code, saved.sends FROM saved;

-- name: ClaimOrders :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN') AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET next_attempt_at = @lease_until::timestamptz, fence = o.fence + 1
FROM due WHERE o.id = due.id
RETURNING o.*;

-- name: OrderHistory :many
SELECT * FROM change_orders
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz)
ORDER BY requested_at DESC, id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrders :one
SELECT count(*) FROM change_orders
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz);

-- Claims of one outbox are made one after the other: an older result that becomes final while a younger one of its line is being
-- claimed would look like the line's head to a second claimer.
-- name: LockDeliveries :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.deliveries'));

-- Of each line only the head may be claimed: the event whose number is already given, else the oldest one.
-- name: ClaimDeliveries :many
WITH due AS (
    SELECT d.id, d.line_index, d.delivery_sequence FROM change_orders d
    WHERE d.delivery_state = 'PENDING' AND d.delivery_next_at <= @now::timestamptz
        AND d.id = (
            SELECT e.id FROM change_orders e
            WHERE e.line_index = d.line_index AND e.delivery_state = 'PENDING'
            ORDER BY e.delivery_sequence, e.id LIMIT 1
        )
    ORDER BY d.delivery_next_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
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
WITH settled AS (
    UPDATE change_orders SET delivery_state = @state, delivery_next_at = sqlc.narg('next_at'),
        delivery_attempts = delivery_attempts + 1, delivered_at = sqlc.narg('delivered_at')
    WHERE id = @id AND delivery_fence = @fence AND delivery_state = 'PENDING'
    RETURNING id, delivery_fence, delivery_state
)
INSERT INTO delivery_attempts (event_id, fence, at, state, note)
SELECT settled.id, settled.delivery_fence, @at::timestamptz, settled.delivery_state, @note::text FROM settled;
