-- Orders that have ended and whose customer is to be told. The lease is the time itself: each claim moves it on, so who comes late with an
-- older one changes nothing.
-- name: ClaimNotices :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.notify_at <= @now::timestamptz
    ORDER BY d.notify_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET notify_at = @lease_until::timestamptz
FROM due WHERE o.id = due.id
RETURNING o.*;

-- Told when next_at is NULL, else to be told again then.
-- name: SettleNotice :execrows
UPDATE change_orders SET notify_at = sqlc.narg('next_at')::timestamptz, notify_attempts = notify_attempts + 1,
    notified_at = CASE WHEN sqlc.narg('next_at')::timestamptz IS NULL THEN clock_timestamp() END
WHERE id = @id AND notify_at = @lease::timestamptz;
