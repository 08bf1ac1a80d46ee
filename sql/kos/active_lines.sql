-- In order of the index, so that two instances that note the same lines do not deadlock.
-- name: NoteLines :exec
INSERT INTO active_lines AS a (line_index, kind, line_sealed, seen_at, due_at)
SELECT v.line_index, @kind, v.line_sealed, @seen_at::timestamptz, @due_at::timestamptz
FROM (SELECT unnest(@line_indexes::bytea[]) AS line_index, unnest(@lines_sealed::bytea[]) AS line_sealed) AS v
ORDER BY v.line_index
ON CONFLICT (line_index, kind) DO UPDATE SET seen_at = excluded.seen_at, line_sealed = excluded.line_sealed
WHERE a.seen_at < excluded.seen_at;

-- name: DueLines :many
WITH due AS (
    SELECT d.line_index, d.kind FROM active_lines d
    WHERE d.kind = @kind AND d.due_at <= @now::timestamptz AND d.seen_at >= @seen_since::timestamptz
    ORDER BY d.due_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE active_lines a SET due_at = @lease_until::timestamptz
FROM due WHERE a.line_index = due.line_index AND a.kind = due.kind
RETURNING a.line_index, a.line_sealed;

-- name: PostponeLine :exec
UPDATE active_lines SET due_at = @due_at WHERE line_index = @line_index AND kind = @kind;

-- name: ForgetLines :exec
DELETE FROM active_lines WHERE kind = @kind AND seen_at < @seen_before;
