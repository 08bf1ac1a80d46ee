-- Requests of a product that has no table of its own (migrations/request). The other files work on every product's.
-- name: AddRequest :exec
INSERT INTO requests (id, kind, user_id, subject_sealed, subject_index, payload_sealed, state, requested_at,
    next_attempt_at, attempts, trace_id)
VALUES (@id, @kind, @user_id, @subject_sealed, @subject_index, @payload_sealed, @state, @requested_at, @next_attempt_at,
    @attempts, @trace_id);

-- name: Request :one
SELECT * FROM requests WHERE id = $1;

-- name: RequestsByID :many
SELECT * FROM requests WHERE id = ANY(@ids::uuid[]);

-- name: SaveRequest :execrows
UPDATE requests SET state = @state, result_sealed = @result_sealed, code = @code, note = @note, attempts = @attempts,
    processed_at = @processed_at, next_attempt_at = @next_attempt_at, delivery_state = @delivery_state,
    delivery_next_at = @delivery_next_at
WHERE id = @id AND fence = @fence AND state IN ('PROCESSING', 'PARKED');

-- The attempt is counted before it is made: a worker that dies in it has made it.
-- name: ClaimRequests :many
WITH due AS (
    SELECT d.id FROM requests d
    WHERE d.waiting AND d.next_attempt_at <= @now::timestamptz
    ORDER BY d.next_attempt_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE requests i SET next_attempt_at = @lease_until::timestamptz, fence = i.fence + 1, attempts = i.attempts + 1
FROM due WHERE i.id = due.id
RETURNING i.*;

-- name: ParkedRequests :many
SELECT * FROM requests i WHERE i.parked ORDER BY i.id LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountParkedRequests :one
SELECT count(*) FROM requests i WHERE i.parked;

-- name: RequestHistory :many
SELECT * FROM requests i
WHERE i.user_id = @user_id AND i.subject_index = ANY(@subjects::bytea[])
    AND (i.requested_at, i.id) <= (@from_at::timestamptz, @from_id::uuid)
ORDER BY i.requested_at DESC, i.id DESC LIMIT @size::bigint;

-- Claimed requests that cannot be opened; the attempt that was counted is not made.
-- name: PutOffRequests :exec
UPDATE requests SET next_attempt_at = @until::timestamptz, attempts = attempts - 1
WHERE id = ANY(@ids::uuid[]) AND state = 'PROCESSING';
