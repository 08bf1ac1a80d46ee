-- The inquiry of a timeline; each query is along a primary key.
-- name: InquiryTimeline :one
SELECT user_id, line_sealed, line_index, month, status, source, requested_at, processed_at, as_of, failure_code,
    attempts, next_attempt_at, delivery_replayed_at
FROM inquiries WHERE id = $1;
