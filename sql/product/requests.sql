-- How staff find requests: each query goes along an index of its own, so that it costs what it shows. Counts go no further than @most.

-- name: OrdersOfTrace :many
SELECT * FROM change_orders i
WHERE i.trace_id = @trace_id::text
    AND i.trace_id <> ''
    AND (@user_id::text = '' OR i.user_id = @user_id::text)
    AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrdersOfTrace :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE i.trace_id = @trace_id::text
        AND i.trace_id <> ''
        AND (@user_id::text = '' OR i.user_id = @user_id::text)
        AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: OrdersOfLine :many
SELECT * FROM change_orders i
WHERE substr(i.line_index, 1) = @line_index::bytea
    AND (@user_id::text = '' OR i.user_id = @user_id::text)
    AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrdersOfLine :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE substr(i.line_index, 1) = @line_index::bytea
        AND (@user_id::text = '' OR i.user_id = @user_id::text)
        AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: OrdersOfUser :many
SELECT * FROM change_orders i
WHERE i.user_id = @user_id::text AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrdersOfUser :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE i.user_id = @user_id::text
        AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: OrdersLive :many
SELECT * FROM change_orders i
WHERE i.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED') AND i.state = @state::text
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: OrdersEnded :many
SELECT * FROM change_orders i
WHERE i.state IN ('FAILED', 'CANCELLED') AND i.state = @state::text
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrdersLive :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE i.state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED') AND i.state = @state::text
    LIMIT @most::bigint
) counted;

-- name: CountOrdersEnded :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE i.state IN ('FAILED', 'CANCELLED') AND i.state = @state::text
    LIMIT @most::bigint
) counted;

-- name: OrdersNewest :many
SELECT * FROM change_orders i
WHERE (@state::text = '' OR i.state = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountOrdersNewest :one
SELECT count(*) FROM (
    SELECT 1 FROM change_orders i WHERE (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;
