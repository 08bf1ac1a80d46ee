-- What is not done with, by kind and state, for the metrics: each part along its own index, no more than most rows of it.
-- name: Backlog :many
SELECT w.kind::text AS kind, w.state::text AS state, count(*) AS items,
    greatest(extract(epoch FROM now() - min(w.since)), 0)::double precision AS oldest_seconds
FROM (
    (
        SELECT 'inquiries' AS kind, i.status AS state, i.requested_at AS since FROM inquiries i
        WHERE i.status = 'PROCESSING' ORDER BY i.next_attempt_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', d.delivery_state, coalesce(d.processed_at, d.requested_at) FROM inquiries d
        WHERE d.delivery_state = 'PENDING' ORDER BY d.delivery_next_at LIMIT @most::bigint
    )
    UNION ALL
    (
        SELECT 'deliveries', r.delivery_state, coalesce(r.processed_at, r.requested_at) FROM inquiries r
        WHERE r.delivery_state = 'PARKED' ORDER BY r.id LIMIT @most::bigint
    )
) AS w
GROUP BY w.kind, w.state;
