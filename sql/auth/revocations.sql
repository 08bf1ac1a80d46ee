-- Sessions that ended (user_id is empty) and users whose epoch was raised.
-- name: RevokedSince :many
SELECT s.id AS session_id, ''::text AS user_id, 0::bigint AS epoch,
    coalesce(s.noted_at, s.revoked_at)::timestamptz AS at, s.end_reason AS why
FROM sessions s WHERE s.revoked_at IS NOT NULL AND coalesce(s.noted_at, s.revoked_at) >= @since::timestamptz
UNION ALL
SELECT '00000000-0000-0000-0000-000000000000'::uuid, u.user_id, u.epoch, u.epoch_at::timestamptz, ''::text
FROM users u WHERE u.epoch_at IS NOT NULL AND u.epoch_at >= @since::timestamptz;
