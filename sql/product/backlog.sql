-- What is not done with, by kind and state, for the metrics: each part along its own index, no more than most rows of it.
-- name: Backlog :many
SELECT w.kind::text AS kind, w.state::text AS state, count(*) AS items,
    greatest(extract(epoch FROM now() - min(w.since)), 0)::double precision AS oldest_seconds
FROM (
    (
        SELECT 'orders' AS kind, o.state, o.requested_at AS since FROM change_orders o
        WHERE o.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN') ORDER BY o.next_attempt_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'orders', p.state, p.requested_at FROM change_orders p
        WHERE p.state = 'PARKED' ORDER BY p.id LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', d.delivery_state, coalesce(d.processed_at, d.requested_at) FROM change_orders d
        WHERE d.delivery_state = 'PENDING' ORDER BY d.delivery_next_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', r.delivery_state, coalesce(r.processed_at, r.requested_at) FROM change_orders r
        WHERE r.delivery_state = 'PARKED' ORDER BY r.id LIMIT @most::bigint
    )
) AS w
GROUP BY w.kind, w.state;
