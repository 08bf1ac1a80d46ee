-- The order of a timeline; each query is along a primary key.
-- name: OrderTimeline :one
SELECT transaction_id, user_id, line_sealed, line_index, from_code, to_code, effective_date, state, requested_at,
    failure_reason, kos_order, next_attempt_at, notified_at, notify_attempts, delivery_replayed_at
FROM change_orders WHERE id = $1;

-- The newest steps, newest first.
-- name: StepsOf :many
SELECT at, state, result_code, sends, note, next_at FROM order_steps
WHERE order_id = @order_id ORDER BY step DESC LIMIT @most::bigint;

-- name: DecisionsOf :many
SELECT at, by_user, outcome, reason, applied FROM order_resolutions
WHERE order_id = @order_id ORDER BY number DESC LIMIT @most::bigint;
