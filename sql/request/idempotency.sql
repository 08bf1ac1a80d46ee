-- The key's first use stays, unless it is too old or of the request that is to be replaced. The previous release kept
-- keys as plain digests: one that it took is taken for a day.
-- name: ClaimKey :execrows
INSERT INTO idempotency_keys AS k (user_id, key_hash, payload_hash, request_id, used_at)
SELECT @user_id::text, @key_hash::bytea, @payload_hash::bytea, @request_id::uuid, @used_at::timestamptz
WHERE NOT EXISTS (
    SELECT 1 FROM idempotency_keys b
    WHERE b.user_id = @user_id AND b.key_hash = @plain_hash::bytea AND b.used_at >= @since::timestamptz
        AND b.request_id <> @instead::uuid
)
ON CONFLICT (user_id, key_hash) DO UPDATE
SET payload_hash = excluded.payload_hash, request_id = excluded.request_id, used_at = excluded.used_at
WHERE k.used_at < @since::timestamptz OR k.request_id = @instead::uuid;

-- name: UsedKey :one
SELECT * FROM idempotency_keys
WHERE user_id = @user_id AND key_hash IN (@key_hash, @plain_hash::bytea) AND used_at >= @since::timestamptz
ORDER BY used_at DESC LIMIT 1;

-- name: ReleaseKey :exec
DELETE FROM idempotency_keys WHERE user_id = @user_id AND key_hash IN (@key_hash, @plain_hash::bytea)
    AND request_id = @request_id;

-- name: ForgetKeys :execrows
DELETE FROM idempotency_keys k USING (
    SELECT o.user_id, o.key_hash FROM idempotency_keys o
    WHERE o.used_at < @before::timestamptz ORDER BY o.used_at LIMIT @n::bigint FOR UPDATE SKIP LOCKED
) AS old
WHERE k.user_id = old.user_id AND k.key_hash = old.key_hash;
