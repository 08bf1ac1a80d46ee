-- Lists of requests: those of staff and of customers. Each query uses an index of its own, so that it costs what it
-- shows. Counts stop at @most. They return ids; the product reads its own rows by them.

-- name: RequestsOfTrace :many
SELECT i.id FROM requests i
WHERE i.trace_id = @trace_id::text AND i.trace_id <> ''
    AND (@user_id::text = '' OR i.user_id = @user_id::text) AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountRequestsOfTrace :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i
    WHERE i.trace_id = @trace_id::text AND i.trace_id <> ''
        AND (@user_id::text = '' OR i.user_id = @user_id::text) AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: RequestsOfSubject :many
SELECT i.id FROM requests i
WHERE substr(i.subject_index, 1) = @subject_index::bytea
    AND (@user_id::text = '' OR i.user_id = @user_id::text) AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountRequestsOfSubject :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i
    WHERE substr(i.subject_index, 1) = @subject_index::bytea
        AND (@user_id::text = '' OR i.user_id = @user_id::text) AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: RequestsOfUser :many
SELECT i.id FROM requests i
WHERE i.user_id = @user_id::text AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountRequestsOfUser :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i
    WHERE i.user_id = @user_id::text AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- @stored_state is that of the index; @state may be a finer one.
-- name: RequestsUncompleted :many
SELECT i.id FROM requests i
WHERE i.uncompleted AND i.stored_state = @stored_state::text AND (@state::text = '' OR i.state = @state::text)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountRequestsUncompleted :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i
    WHERE i.uncompleted AND i.stored_state = @stored_state::text AND (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- name: RequestsNewest :many
SELECT i.id FROM requests i
WHERE (@state::text = '' OR i.state = @state::text)
ORDER BY i.id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountRequestsNewest :one
SELECT count(*) FROM (
    SELECT 1 FROM requests i WHERE (@state::text = '' OR i.state = @state::text)
    LIMIT @most::bigint
) counted;

-- How many requests of a customer match, from the index of history alone. The range is always given, for generic plans
-- use it too.
-- name: CountHistory :one
SELECT count(*) FROM requests
WHERE user_id = @user_id AND subject_index = ANY(@subjects::bytea[])
    AND requested_at >= coalesce(sqlc.narg('since')::timestamptz, '-infinity')
    AND requested_at < coalesce(sqlc.narg('before')::timestamptz, 'infinity')
    AND (@status::text = '' OR status = @status::text);

-- The first row of a later page, from the index of history alone: the page is read from there on, by the product.
-- name: HistoryStart :one
SELECT requested_at, id FROM requests
WHERE user_id = @user_id AND subject_index = ANY(@subjects::bytea[])
    AND requested_at >= coalesce(sqlc.narg('since')::timestamptz, '-infinity')
    AND requested_at < coalesce(sqlc.narg('before')::timestamptz, 'infinity')
    AND (@status::text = '' OR status = @status::text)
ORDER BY requested_at DESC, id DESC LIMIT 1 OFFSET @skip::bigint;
