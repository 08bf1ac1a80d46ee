-- Parked orders, those that wait longest first: a handful, along their own index. Each comes with its last proposal,
-- and when it was parked.
-- name: ParkedOrders :many
SELECT o.id, o.transaction_id, o.user_id, o.line_sealed, o.line_index, o.from_code, o.to_code, o.effective_date,
    o.requested_at, o.sends, o.reconciles, o.kos_order,
    coalesce(s.at, o.requested_at)::timestamptz AS parked_at,
    coalesce(r.outcome, '')::text AS outcome, coalesce(r.reason, '')::text AS reason,
    coalesce(r.by_user, '')::text AS by_user, coalesce(r.at, o.requested_at)::timestamptz AS proposed_at
FROM change_orders o
LEFT JOIN LATERAL (
    SELECT p.at FROM order_steps p WHERE p.order_id = o.id AND p.state = 'PARKED' ORDER BY p.step DESC LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT l.at, l.by_user, l.outcome, l.reason, l.applied FROM order_resolutions l WHERE l.order_id = o.id
    ORDER BY l.number DESC LIMIT 1
) r ON NOT r.applied
WHERE o.state = 'PARKED'
ORDER BY o.id LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountParkedOrders :one
SELECT count(*) FROM (SELECT 1 FROM change_orders o WHERE o.state = 'PARKED' LIMIT @most::bigint) counted;

-- Resolutions of two persons at the same moment are judged one after the other.
-- name: LockOrder :one
SELECT * FROM change_orders WHERE id = $1 FOR UPDATE;

-- The last proposal for an order that was not carried out: one row or none.
-- name: LastProposal :many
SELECT l.at, l.by_user, l.outcome, l.reason FROM (
    SELECT * FROM order_resolutions r WHERE r.order_id = @order_id ORDER BY r.number DESC LIMIT 1
) l WHERE NOT l.applied;

-- name: AddResolution :exec
INSERT INTO order_resolutions (order_id, at, by_user, outcome, reason, applied) VALUES ($1, $2, $3, $4, $5, $6);
