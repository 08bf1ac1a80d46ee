-- name: LatestBill :one
SELECT sealed FROM bill_versions WHERE line_index = $1 AND month = $2 ORDER BY told_at DESC, id DESC LIMIT 1;

-- name: PutBill :exec
INSERT INTO bill_versions (id, line_index, month, told_at, sealed) VALUES ($1, $2, $3, $4, $5);

-- name: BillVersion :one
SELECT sealed FROM bill_versions WHERE id = $1 AND line_index = $2 AND month = $3;

-- name: AddInquiry :exec
INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at, processed_at, as_of,
    version_id, summary_sealed, failure_code, attempts, next_attempt_at, fence, delivery_state, delivery_next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- name: Inquiry :one
SELECT * FROM inquiries WHERE id = $1;

-- name: SaveInquiry :execrows
UPDATE inquiries SET status = @status, source = @source, processed_at = @processed_at, as_of = @as_of, version_id = @version_id,
    summary_sealed = @summary_sealed, failure_code = @failure_code, attempts = @attempts, next_attempt_at = @next_attempt_at,
    delivery_state = @delivery_state, delivery_next_at = @delivery_next_at
WHERE id = @id AND fence = @fence AND status = 'PROCESSING';

-- name: ClaimInquiries :many
WITH due AS (
    SELECT d.id FROM inquiries d
    WHERE d.status = 'PROCESSING' AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE inquiries i SET next_attempt_at = @lease_until::timestamptz, fence = i.fence + 1
FROM due WHERE i.id = due.id
RETURNING i.*;

-- name: InquiryHistory :many
SELECT * FROM inquiries
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz)
    AND (@status::text = '' OR status = @status::text)
ORDER BY requested_at DESC, id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiries :one
SELECT count(*) FROM inquiries
WHERE user_id = @user_id AND line_index = ANY(@lines::bytea[])
    AND (sqlc.narg('since')::timestamptz IS NULL OR requested_at >= sqlc.narg('since')::timestamptz)
    AND (sqlc.narg('before')::timestamptz IS NULL OR requested_at < sqlc.narg('before')::timestamptz)
    AND (@status::text = '' OR status = @status::text);

-- name: BillVersions :many
SELECT id, sealed FROM bill_versions WHERE id = ANY(@ids::uuid[]);
