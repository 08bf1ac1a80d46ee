-- name: LockServiceKeys :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.service_keys'));

-- name: AddServiceKey :execrows
INSERT INTO service_keys (key_hash, service, created_at, retired_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (key_hash) DO NOTHING;

-- Ends a service's live keys beyond the newest @most. The caller holds the lock.
-- name: RetireOldServiceKeys :exec
UPDATE service_keys SET retired_at = @now WHERE key_hash IN (
    SELECT o.key_hash FROM service_keys o
    WHERE o.service = @service AND o.retired_at IS NULL
    ORDER BY o.created_at DESC, o.key_hash OFFSET @most::bigint
);

-- name: ServiceKeys :many
SELECT * FROM service_keys ORDER BY created_at DESC, key_hash;

-- name: RetireServiceKey :execrows
UPDATE service_keys SET retired_at = coalesce(retired_at, @now) WHERE key_hash = @key_hash;
