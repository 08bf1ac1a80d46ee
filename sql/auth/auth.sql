-- One statement, so that nobody sees the old roles with the new lines. A grant for good has the zero time.
-- name: UserByID :one
SELECT sqlc.embed(u),
    ARRAY(SELECT l.line_sealed FROM user_lines l WHERE l.user_id = u.user_id ORDER BY l.position)::bytea[] AS lines,
    ARRAY(SELECT r.role FROM user_roles r WHERE r.user_id = u.user_id ORDER BY r.role)::text[] AS roles,
    ARRAY(SELECT g.permission FROM user_grants g WHERE g.user_id = u.user_id ORDER BY g.permission)::text[] AS permissions,
    ARRAY(
        SELECT coalesce(g.expires_at, '0001-01-01 00:00:00+00') FROM user_grants g
        WHERE g.user_id = u.user_id ORDER BY g.permission
    )::timestamptz[] AS expiries
FROM users u WHERE u.user_id = $1;

-- name: PutUser :exec
INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index, customer_id, status)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, name_sealed = excluded.name_sealed,
    phone_sealed = excluded.phone_sealed, phone_index = excluded.phone_index, email_sealed = excluded.email_sealed,
    email_index = excluded.email_index, customer_id = excluded.customer_id, status = excluded.status, updated_at = now();

-- name: DropUserLines :exec
DELETE FROM user_lines WHERE user_id = $1;

-- name: AddUserLines :exec
INSERT INTO user_lines (user_id, position, line_sealed, line_index)
SELECT @user_id::text, i, (@sealed::bytea[])[i], (@indexes::bytea[])[i] FROM generate_subscripts(@sealed::bytea[], 1) AS i;

-- name: DropUserRoles :exec
DELETE FROM user_roles WHERE user_id = $1;

-- name: AddUserRoles :exec
INSERT INTO user_roles (user_id, role) SELECT @user_id::text, unnest(@roles::text[]);

-- name: DropUserGrants :exec
DELETE FROM user_grants WHERE user_id = $1;

-- The zero time stands for a grant for good.
-- name: AddUserGrants :exec
INSERT INTO user_grants (user_id, permission, expires_at)
SELECT @user_id::text, (@permissions::text[])[i], nullif((@expiries::timestamptz[])[i], '0001-01-01 00:00:00+00')
FROM generate_subscripts(@permissions::text[], 1) AS i;

-- name: SawLogin :exec
UPDATE users SET last_login_at = $2 WHERE user_id = $1;

-- name: Rehash :exec
UPDATE users SET password_hash = $2 WHERE user_id = $1;

-- Take is auth.LockoutPolicy.Take in one atomic statement; the row it answers tells which guess it was. A locked row is left
-- alone and not answered.
-- name: TakeGuess :one
INSERT INTO login_attempts AS a (subject, failures, locked_until, updated_at)
VALUES (@subject, 1, CASE WHEN @max_failures::bigint <= 1 THEN @lock_until::timestamptz END, @now::timestamptz)
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN a.locked_until IS NOT NULL THEN 1 ELSE a.failures + 1 END,
    locked_until = CASE
        WHEN (CASE WHEN a.locked_until IS NOT NULL THEN 1 ELSE a.failures + 1 END) >= @max_failures::bigint
            THEN @lock_until::timestamptz
    END,
    updated_at = @now::timestamptz
WHERE a.locked_until IS NULL OR a.locked_until <= @now::timestamptz
RETURNING failures;

-- name: GiveGuessBack :exec
UPDATE login_attempts SET failures = greatest(failures - 1, 0), locked_until = NULL WHERE subject = $1;

-- name: ClearGuesses :exec
DELETE FROM login_attempts WHERE subject = $1;

-- name: PeekGuesses :one
SELECT failures, locked_until FROM login_attempts WHERE subject = $1;

-- name: CreateSession :exec
INSERT INTO sessions (id, user_id, auto_login, created_at, last_seen_at, expires_at, generation, rotated_at, revoked_at, ip, user_agent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: Session :one
SELECT * FROM sessions WHERE id = $1;

-- name: LockSession :one
SELECT * FROM sessions WHERE id = $1 FOR UPDATE;

-- name: SaveSession :one
UPDATE sessions SET user_id = $2, auto_login = $3, created_at = $4, last_seen_at = $5, expires_at = $6, generation = $7,
    rotated_at = $8, revoked_at = $9, ip = $10, user_agent = $11
WHERE id = $1 RETURNING *;

-- name: RevokedSince :many
SELECT id, revoked_at FROM sessions WHERE revoked_at >= @since::timestamptz ORDER BY revoked_at;

-- name: AppendLogin :exec
INSERT INTO login_history (id, at, user_id, subject, type, success, reason, ip, user_agent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: SigningKeys :many
SELECT * FROM signing_keys ORDER BY created_at DESC, kid;

-- name: LockSigningKeys :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.signing_keys'));

-- name: AddSigningKeyIfNone :exec
INSERT INTO signing_keys (kid, seed_sealed, created_at)
SELECT @kid, @seed_sealed, @created_at WHERE NOT EXISTS (SELECT 1 FROM signing_keys);
