-- Orders that have ended and whose customer is to be notified. The lease is the time itself: each claim moves it on, so
-- a late worker with an older one changes nothing.
-- name: ClaimNotices :many
WITH due AS (
    SELECT d.id FROM change_orders d
    WHERE d.notify_at <= @now::timestamptz
    ORDER BY d.notify_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
)
UPDATE change_orders o SET notify_at = @lease_until::timestamptz
FROM due WHERE o.id = due.id
RETURNING o.*;

-- Notified at notified_at, or to be notified again at next_at.
-- name: SettleNotice :execrows
UPDATE change_orders SET notify_at = sqlc.narg('next_at')::timestamptz, notify_attempts = notify_attempts + 1,
    notified_at = sqlc.narg('notified_at')::timestamptz
WHERE id = @id AND notify_at = @lease::timestamptz;
