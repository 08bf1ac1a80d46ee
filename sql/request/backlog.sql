-- What is not done yet, by kind and state, for the metrics: each part by its own index, at most @most rows of it.
-- name: Backlog :many
SELECT w.part::text AS part, w.state::text AS state, count(*) AS items,
    greatest(extract(epoch FROM now() - min(w.since)), 0)::double precision AS oldest_seconds
FROM (
    (
        SELECT 'requests' AS part, i.stored_state AS state, i.requested_at AS since FROM requests i
        WHERE i.waiting ORDER BY i.next_attempt_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'requests', p.stored_state, p.requested_at FROM requests p
        WHERE p.parked ORDER BY p.id LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', d.delivery_state, coalesce(d.processed_at, d.requested_at) FROM requests d
        WHERE d.delivery_state = 'PENDING' ORDER BY d.delivery_next_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', r.delivery_state, coalesce(r.processed_at, r.requested_at) FROM requests r
        WHERE r.delivery_state = 'PARKED' ORDER BY r.id LIMIT @most::bigint
    )
) AS w
GROUP BY w.part, w.state;
