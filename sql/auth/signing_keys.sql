-- name: SigningKeys :many
SELECT * FROM signing_keys ORDER BY created_at DESC, kid;

-- name: LockSigningKeys :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.signing_keys'));

-- name: AddSigningKeyIfNone :exec
INSERT INTO signing_keys (kid, seed_sealed, created_at)
SELECT @kid, @seed_sealed, @created_at WHERE NOT EXISTS (SELECT 1 FROM signing_keys);
