-- How staff find requests: each query goes along an index of its own, so that it costs what it shows. Counts go no further than @most.

-- name: InquiriesOfTrace :many
SELECT * FROM inquiries i
WHERE i.trace_id = @trace_id::text
    AND i.trace_id <> ''
    AND (@user_id::text = '' OR i.user_id = @user_id::text)
    AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiriesOfTrace :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i WHERE i.trace_id = @trace_id::text
        AND i.trace_id <> ''
        AND (@user_id::text = '' OR i.user_id = @user_id::text)
        AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
    LIMIT @most::bigint
) counted;

-- name: InquiriesOfLine :many
SELECT * FROM inquiries i
WHERE substr(i.line_index, 1) = @line_index::bytea
    AND (@user_id::text = '' OR i.user_id = @user_id::text)
    AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiriesOfLine :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i WHERE substr(i.line_index, 1) = @line_index::bytea
        AND (@user_id::text = '' OR i.user_id = @user_id::text)
        AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
    LIMIT @most::bigint
) counted;

-- name: InquiriesOfUser :many
SELECT * FROM inquiries i
WHERE i.user_id = @user_id::text
    AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiriesOfUser :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i WHERE i.user_id = @user_id::text
        AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
    LIMIT @most::bigint
) counted;

-- name: InquiriesUncompleted :many
SELECT * FROM inquiries i
WHERE i.status = @state_stored::text
    AND i.status <> 'COMPLETED'
    AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiriesUncompleted :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i WHERE i.status = @state_stored::text
        AND i.status <> 'COMPLETED'
        AND (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
    LIMIT @most::bigint
) counted;

-- name: InquiriesNewest :many
SELECT * FROM inquiries i
WHERE (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountInquiriesNewest :one
SELECT count(*) FROM (
    SELECT 1 FROM inquiries i WHERE (@state::text = '' OR (CASE WHEN i.timed_out THEN 'TIMEOUT' ELSE i.status END) = @state::text)
    LIMIT @most::bigint
) counted;
