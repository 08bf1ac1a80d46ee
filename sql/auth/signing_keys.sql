-- A key of before the rotation has signed since it was created.
-- name: SigningKeys :many
SELECT kid, seed_sealed, created_at, coalesce(active_at, created_at)::timestamptz AS active_at, retired_at
FROM signing_keys ORDER BY active_at DESC, created_at DESC, kid;

-- name: SigningKeyTimes :many
SELECT kid, created_at, coalesce(active_at, created_at)::timestamptz AS active_at, retired_at FROM signing_keys;

-- name: LockSigningKeys :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.signing_keys'));

-- name: NewestSigningKey :one
SELECT coalesce((
    SELECT kid FROM signing_keys ORDER BY coalesce(active_at, created_at) DESC, created_at DESC, kid LIMIT 1
), '')::text AS kid;

-- name: AddSigningKey :exec
INSERT INTO signing_keys (kid, seed_sealed, created_at, active_at) VALUES ($1, $2, $3, $4);

-- name: RetireSigningKey :execrows
UPDATE signing_keys SET retired_at = coalesce(retired_at, @at::timestamptz) WHERE kid = @kid;
