-- The newest calls that were made for one request, newest first, along the index of requests.
-- name: CallsOf :many
SELECT operation, asked_at, answered_at, waited_ms, attempt, breaker, result, http_status FROM kos_calls
WHERE request_id = @request_id::uuid
ORDER BY asked_at DESC, id DESC LIMIT @most::bigint;
