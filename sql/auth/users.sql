-- One statement, so that old roles are never read with new lines. A grant without end has the zero time.
-- name: UserByID :one
SELECT sqlc.embed(u),
    ARRAY(SELECT l.line_sealed FROM user_lines l WHERE l.user_id = u.user_id ORDER BY position)::bytea[] AS lines,
    ARRAY(SELECT l.line_index FROM user_lines l WHERE l.user_id = u.user_id ORDER BY position)::bytea[] AS line_indexes,
    ARRAY(SELECT l.position FROM user_lines l WHERE l.user_id = u.user_id
        ORDER BY position)::bigint[] AS line_positions,
    ARRAY(SELECT r.role FROM user_roles r WHERE r.user_id = u.user_id ORDER BY r.role)::text[] AS roles,
    ARRAY(SELECT g.permission FROM user_grants g WHERE g.user_id = u.user_id
        ORDER BY permission)::text[] AS permissions,
    ARRAY(
        SELECT coalesce(g.expires_at, '0001-01-01 00:00:00+00') FROM user_grants g
        WHERE g.user_id = u.user_id ORDER BY g.permission
    )::timestamptz[] AS expiries,
    ARRAY(SELECT g.granted_by FROM user_grants g WHERE g.user_id = u.user_id ORDER BY permission)::text[] AS givers,
    ARRAY(SELECT g.granted_at FROM user_grants g WHERE g.user_id = u.user_id
        ORDER BY permission)::timestamptz[] AS given,
    EXISTS(SELECT 1 FROM user_totp t WHERE t.user_id = u.user_id AND t.confirmed_at IS NOT NULL) AS second_factor
FROM users u WHERE u.user_id = $1;

-- The account of exactly that spelling, else the only one of the folded id, else the only one of it that is not
-- inactive.
-- name: UserByLogin :one
SELECT sqlc.embed(u),
    ARRAY(SELECT l.line_sealed FROM user_lines l WHERE l.user_id = u.user_id ORDER BY position)::bytea[] AS lines,
    ARRAY(SELECT l.line_index FROM user_lines l WHERE l.user_id = u.user_id ORDER BY position)::bytea[] AS line_indexes,
    ARRAY(SELECT l.position FROM user_lines l WHERE l.user_id = u.user_id
        ORDER BY position)::bigint[] AS line_positions,
    ARRAY(SELECT r.role FROM user_roles r WHERE r.user_id = u.user_id ORDER BY r.role)::text[] AS roles,
    ARRAY(SELECT g.permission FROM user_grants g WHERE g.user_id = u.user_id
        ORDER BY permission)::text[] AS permissions,
    ARRAY(
        SELECT coalesce(g.expires_at, '0001-01-01 00:00:00+00') FROM user_grants g
        WHERE g.user_id = u.user_id ORDER BY g.permission
    )::timestamptz[] AS expiries,
    ARRAY(SELECT g.granted_by FROM user_grants g WHERE g.user_id = u.user_id ORDER BY permission)::text[] AS givers,
    ARRAY(SELECT g.granted_at FROM user_grants g WHERE g.user_id = u.user_id
        ORDER BY permission)::timestamptz[] AS given,
    EXISTS(SELECT 1 FROM user_totp t WHERE t.user_id = u.user_id AND t.confirmed_at IS NOT NULL) AS second_factor
FROM users u WHERE u.user_id = (
    SELECT CASE
        WHEN bool_or(f.user_id = @typed::text) THEN @typed::text
        WHEN count(*) = 1 THEN min(f.user_id)
        WHEN count(*) FILTER (WHERE f.status <> 'INACTIVE') = 1
            THEN min(f.user_id) FILTER (WHERE f.status <> 'INACTIVE')
    END
    FROM users f WHERE lower(f.user_id COLLATE "C") = @folded::text
);

-- name: LockUser :exec
SELECT user_id FROM users WHERE user_id = $1 FOR UPDATE;

-- name: CreateUser :execrows
INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index,
    customer_id, status, created_at, initial_password, factor_handed_over, tier)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (user_id) DO NOTHING;

-- name: SaveUser :exec
UPDATE users SET password_hash = $2, name_sealed = $3, phone_sealed = $4, phone_index = $5, email_sealed = $6,
    email_index = $7, customer_id = $8, status = $9, version = $10,
    epoch_at = CASE WHEN epoch = $11 THEN epoch_at ELSE clock_timestamp() END,
    epoch = $11, initial_password = $12, factor_handed_over = $13, tier = $14, updated_at = now()
WHERE user_id = $1;

-- name: DropUserLines :exec
DELETE FROM user_lines WHERE user_id = $1;

-- name: AddUserLines :exec
INSERT INTO user_lines (user_id, position, line_sealed, line_index)
SELECT @user_id::text, i, (@sealed::bytea[])[i], (@indexes::bytea[])[i]
FROM generate_subscripts(@sealed::bytea[], 1) AS i;

-- name: DropUserRoles :exec
DELETE FROM user_roles WHERE user_id = $1;

-- name: AddUserRoles :exec
INSERT INTO user_roles (user_id, role) SELECT @user_id::text, unnest(@roles::text[]);

-- name: DropUserGrants :exec
DELETE FROM user_grants WHERE user_id = $1;

-- The zero time stands for a grant without end.
-- name: AddUserGrants :exec
INSERT INTO user_grants (user_id, permission, expires_at, granted_by, granted_at)
SELECT @user_id::text, (@permissions::text[])[i], nullif((@expiries::timestamptz[])[i], '0001-01-01 00:00:00+00'),
    (@givers::text[])[i], (@given::timestamptz[])[i]
FROM generate_subscripts(@permissions::text[], 1) AS i;

-- name: SawLogin :exec
UPDATE users SET last_login_at = $2 WHERE user_id = $1;

-- name: PasswordHash :one
SELECT password_hash FROM users WHERE user_id = $1 FOR UPDATE;

-- name: Rehash :exec
UPDATE users SET password_hash = @new_hash WHERE user_id = @user_id AND password_hash = @old_hash;
