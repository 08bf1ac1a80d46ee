-- name: CreateSession :exec
INSERT INTO sessions (id, user_id, auto_login, created_at, last_seen_at, expires_at, generation, rotated_at, revoked_at,
    ip, user_agent, end_reason, spent_generations, spent_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: Session :one
SELECT * FROM sessions WHERE id = $1;

-- name: LockSession :one
SELECT * FROM sessions WHERE id = $1 FOR UPDATE;

-- name: SaveSession :one
UPDATE sessions SET user_id = $2, auto_login = $3, created_at = $4, last_seen_at = $5, expires_at = $6, generation = $7,
    rotated_at = $8, revoked_at = $9, ip = $10, user_agent = $11, end_reason = $12, spent_generations = $13,
    spent_at = $14, noted_at = CASE WHEN $9::timestamptz IS NOT NULL THEN coalesce(noted_at, clock_timestamp()) END
WHERE id = $1 RETURNING *;

-- Ends a user's live sessions beyond the newest @most. The caller holds the user's row, so that two logins do not count
-- the same.
-- name: EndOldest :many
UPDATE sessions SET revoked_at = @now, noted_at = clock_timestamp(), end_reason = @why WHERE id IN (
    SELECT o.id FROM sessions o
    WHERE o.user_id = @user_id AND o.revoked_at IS NULL AND o.expires_at > @now
        AND o.last_seen_at > CASE WHEN o.auto_login THEN @idle_auto_since::timestamptz ELSE @idle_since::timestamptz END
    ORDER BY o.created_at DESC, o.id DESC OFFSET @most::bigint
) AND revoked_at IS NULL RETURNING id;

-- name: LiveSessions :many
SELECT * FROM sessions
WHERE user_id = @user_id AND revoked_at IS NULL AND expires_at > @now
    AND last_seen_at > CASE WHEN auto_login THEN @idle_auto_since::timestamptz ELSE @idle_since::timestamptz END
ORDER BY created_at DESC, id DESC;

-- name: EndAllSessions :many
UPDATE sessions SET revoked_at = @now, noted_at = clock_timestamp()
WHERE user_id = @user_id AND revoked_at IS NULL AND expires_at > @now AND id <> @keep RETURNING id;

-- name: SweepSessions :execrows
DELETE FROM sessions WHERE id IN (
    SELECT o.id FROM sessions o WHERE o.expires_at < @before::timestamptz
    ORDER BY o.expires_at LIMIT @most::bigint FOR UPDATE SKIP LOCKED
);
