-- What one inquiry's timeline tells; each query is along a primary key.
-- name: InquiryTold :one
SELECT user_id, line_sealed, line_index, month, status, source, requested_at, processed_at, as_of, failure_code, attempts, next_attempt_at, delivery_replayed_at
FROM inquiries WHERE id = $1;

-- The newest attempts to tell one event, newest first.
-- name: AttemptsOf :many
SELECT at, state, note FROM delivery_attempts WHERE event_id = @event_id ORDER BY fence DESC LIMIT @most::bigint;
