-- Orders in the order in which they became final, along their own index.
-- name: FinalOrders :many
SELECT o.id FROM change_orders o
WHERE o.processed_at >= @from_at::timestamptz AND o.processed_at < @to_at::timestamptz
    AND (o.processed_at, o.id) > (@reached_at::timestamptz, @reached_id::uuid)
ORDER BY o.processed_at, o.id LIMIT @n::bigint;

-- Orders with what is stored of their deliveries and of the line's other orders. Each subquery is a step into an index.
-- name: ReconciliationEntries :many
SELECT sqlc.embed(o),
    (SELECT count(*) FROM delivery_attempts d WHERE d.event_id = o.id AND d.state = 'DELIVERED')::bigint AS times,
    coalesce(b.delivery_sequence, 0)::bigint AS before_sequence,
    coalesce(b.delivery_state, 'NONE')::text AS before_state,
    coalesce(b.delivered_at, '0001-01-01Z')::timestamptz AS before_at,
    coalesce(b.delivery_replayed_at, '0001-01-01Z')::timestamptz AS before_replayed,
    EXISTS (
        SELECT 1 FROM change_orders t
        WHERE t.line_index = o.line_index AND t.delivery_sequence = o.delivery_sequence AND t.id <> o.id
    )::boolean AS twin,
    EXISTS (
        SELECT 1 FROM change_orders r
        WHERE r.line_index = o.line_index AND r.state = 'COMPLETED' AND r.processed_at > o.processed_at
    )::boolean AS replaced,
    EXISTS (
        SELECT 1 FROM change_orders l
        WHERE l.line_index = o.line_index AND l.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED')
            AND l.id <> o.id
    )::boolean AS followed
FROM change_orders o
LEFT JOIN LATERAL (
    SELECT p.delivery_sequence, p.delivery_state, p.delivered_at, p.delivery_replayed_at FROM change_orders p
    WHERE p.line_index = o.line_index AND p.delivery_sequence < o.delivery_sequence
    ORDER BY p.delivery_sequence DESC LIMIT 1
) b ON true
WHERE o.id = ANY(@ids::uuid[])
ORDER BY o.processed_at, o.id;

-- A handful, along the index of the live ones.
-- name: OpenOrders :many
SELECT * FROM change_orders o
WHERE o.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED')
    AND o.id > @after::uuid AND o.requested_at < @before::timestamptz
ORDER BY o.id LIMIT @n::bigint;

-- No row means that another run is not finished.
-- name: BeginReconciliationRun :execrows
INSERT INTO book_runs (id, nightly, from_at, to_at, started_at, lease_until) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT ((finished_at IS NULL)) WHERE finished_at IS NULL DO NOTHING;

-- name: ClaimReconciliationRun :one
UPDATE book_runs r SET lease_until = @until::timestamptz, fence = r.fence + 1
WHERE r.finished_at IS NULL AND r.lease_until <= @now::timestamptz
RETURNING *;

-- name: SaveReconciliationRun :execrows
UPDATE book_runs SET finished_at = sqlc.narg('finished_at'), reached_at = sqlc.narg('reached_at'),
    reached_id = sqlc.narg('reached_id'), checked = @checked, asked = @asked, undecided = @undecided,
    unasked = @unasked, lease_until = @lease_until
WHERE id = @id AND fence = @fence AND finished_at IS NULL;

-- name: AddReconciliationDifferences :exec
INSERT INTO book_differences (run_id, order_id, kind, found_at, detail)
SELECT @run_id::uuid, unnest(@orders::uuid[]), unnest(@kinds::text[]), unnest(@found::timestamptz[]),
    unnest(@details::text[])
ON CONFLICT DO NOTHING;

-- name: ReconciliationRunNightly :one
SELECT EXISTS (SELECT 1 FROM book_runs WHERE nightly AND started_at >= @since::timestamptz)::boolean;

-- name: ReconciliationRun :one
SELECT * FROM book_runs WHERE id = $1;

-- name: LastReconciliationRun :one
SELECT * FROM book_runs ORDER BY id DESC LIMIT 1;

-- name: CountReconciliationDifferences :one
SELECT count(*) FROM book_differences WHERE run_id = $1;

-- An order may have been deleted meanwhile.
-- name: ReconciliationDifferences :many
SELECT d.order_id, d.kind, d.found_at, d.detail, coalesce(o.user_id, '')::text AS user_id,
    coalesce(o.line_sealed, ''::bytea)::bytea AS line_sealed, coalesce(o.line_index, ''::bytea)::bytea AS line_index
FROM book_differences d LEFT JOIN change_orders o ON o.id = d.order_id
WHERE d.run_id = @run_id ORDER BY d.order_id, d.kind LIMIT @n::bigint;

-- name: PurgeReconciliationRuns :one
SELECT purge_book_runs(@keep_years::integer, @batch::bigint)::bigint;
