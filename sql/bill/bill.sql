-- name: LatestBill :one
SELECT id, sealed FROM bill_versions WHERE line_index = $1 AND month = $2 ORDER BY told_at DESC, id DESC LIMIT 1;

-- name: PutBill :exec
INSERT INTO bill_versions (id, line_index, month, told_at, sealed) VALUES ($1, $2, $3, $4, $5);

-- name: BillVersion :one
SELECT sealed FROM bill_versions WHERE id = $1 AND line_index = $2 AND month = $3;

-- name: Inquiry :one
SELECT * FROM inquiries WHERE id = $1;

-- name: SaveInquiry :execrows
UPDATE inquiries SET status = @status, source = @source, processed_at = @processed_at, as_of = @as_of,
    version_id = @version_id, summary_sealed = @summary_sealed, failure_code = @failure_code, timed_out = @timed_out,
    attempts = @attempts, next_attempt_at = @next_attempt_at, delivery_state = @delivery_state,
    delivery_next_at = @delivery_next_at
WHERE id = @id AND fence = @fence AND status = 'PROCESSING';

-- The attempt is counted before it is made: a worker that dies in it has made it.
-- name: ClaimInquiries :many
WITH due AS (
    SELECT d.id FROM inquiries d
    WHERE d.status = 'PROCESSING' AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE inquiries i SET next_attempt_at = @lease_until::timestamptz, fence = i.fence + 1, attempts = i.attempts + 1
FROM due WHERE i.id = due.id
RETURNING i.*;

-- One page of a customer's history from its first row on (HistoryStart of sql/request), by the index of history: each
-- row shown costs one page of the table, however deep the page is. The range is always given, for generic plans use it
-- too.
-- name: InquiryHistory :many
SELECT * FROM inquiries i
WHERE i.user_id = @user_id AND i.line_index = ANY(@lines::bytea[])
    AND i.requested_at >= coalesce(sqlc.narg('since')::timestamptz, '-infinity')
    AND (i.requested_at, i.id) <= (@from_at::timestamptz, @from_id::uuid)
    AND (@status::text = '' OR i.status = @status::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint;

-- name: BillVersions :many
SELECT id, line_index, month, sealed FROM bill_versions WHERE id = ANY(@ids::uuid[]);

-- name: InquiriesByID :many
SELECT * FROM inquiries WHERE id = ANY(@ids::uuid[]);
