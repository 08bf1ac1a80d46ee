-- Each search is driven by one index and stops after @most rows: it returns how many it saw and the ids of one page.

-- name: SearchAllUsers :one
WITH found AS MATERIALIZED (SELECT user_id FROM users ORDER BY user_id LIMIT @most::bigint)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- name: SearchUsersByStatus :one
WITH found AS MATERIALIZED (SELECT user_id FROM users WHERE status = @status ORDER BY user_id LIMIT @most::bigint)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- name: SearchUsersByCustomer :one
WITH found AS MATERIALIZED (
    SELECT user_id FROM users
    WHERE customer_id = @customer_id AND (@status::text = '' OR status = @status::text) ORDER BY user_id
    LIMIT @most::bigint
)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- name: SearchUsersByLine :one
WITH found AS MATERIALIZED (
    SELECT u.user_id FROM users u
    WHERE u.user_id IN (SELECT l.user_id FROM user_lines l WHERE l.line_index = @line_index)
        AND (@customer_id::text = '' OR u.customer_id = @customer_id::text)
        AND (@status::text = '' OR u.status = @status::text)
    ORDER BY u.user_id LIMIT @most::bigint
)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- name: SearchUsersByID :one
WITH found AS MATERIALIZED (
    SELECT u.user_id FROM users u
    WHERE lower(u.user_id COLLATE "C") = @folded::text
        AND (@customer_id::text = '' OR u.customer_id = @customer_id::text)
        AND (@status::text = '' OR u.status = @status::text)
        AND (
            @line_index::bytea = ''::bytea
            OR EXISTS (SELECT 1 FROM user_lines l WHERE l.user_id = u.user_id AND l.line_index = @line_index::bytea)
        )
    ORDER BY u.user_id LIMIT @most::bigint
)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- Locks are kept under a keyed hash of the submitted id; the login history has the account of it.
-- name: SearchLockedUsers :one
WITH found AS MATERIALIZED (
    SELECT DISTINCT u.user_id
    FROM (SELECT subject FROM login_attempts WHERE locked_until > @now::timestamptz LIMIT @most::bigint) a
    CROSS JOIN LATERAL (
        SELECT h.user_id FROM login_history h WHERE h.subject = a.subject AND h.user_id IS NOT NULL ORDER BY h.at DESC
        LIMIT 1
    ) h
    JOIN users u ON u.user_id = h.user_id
    WHERE u.status = 'ACTIVE' AND (@folded::text = '' OR lower(u.user_id COLLATE "C") = @folded::text)
        AND (@customer_id::text = '' OR u.customer_id = @customer_id::text)
        AND (
            @line_index::bytea = ''::bytea
            OR EXISTS (SELECT 1 FROM user_lines l WHERE l.user_id = u.user_id AND l.line_index = @line_index::bytea)
        )
)
SELECT (SELECT count(*) FROM found)::bigint AS total,
    ARRAY(SELECT f.user_id FROM found f ORDER BY f.user_id LIMIT @size::bigint OFFSET @skip::bigint)::text[] AS ids;

-- name: UsersByIDs :many
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
FROM users u WHERE u.user_id = ANY(@ids::text[]) ORDER BY u.user_id;

-- name: LocksOf :many
SELECT subject, locked_until FROM login_attempts WHERE subject = ANY(@subjects::bytea[]) AND locked_until IS NOT NULL;

-- name: LockAdministrators :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.administrators'));

-- name: CountOtherAdmins :one
SELECT count(*) FROM users u
WHERE u.user_id <> $1 AND u.status = 'ACTIVE'
    AND u.user_id IN (SELECT r.user_id FROM user_roles r WHERE r.role = 'ADMIN');

-- name: KnownUsers :many
SELECT user_id, created_at FROM users WHERE lower(user_id COLLATE "C") = ANY(@folded::text[]);

-- name: ClashingUserIDs :many
WITH twice AS (
    SELECT lower(f.user_id COLLATE "C") AS folded FROM users f WHERE f.status <> 'INACTIVE'
    GROUP BY lower(f.user_id COLLATE "C") HAVING count(*) > 1 ORDER BY lower(f.user_id COLLATE "C") LIMIT @most::bigint
)
SELECT u.user_id FROM users u JOIN twice t ON lower(u.user_id COLLATE "C") = t.folded
WHERE u.status <> 'INACTIVE' ORDER BY t.folded, u.user_id COLLATE "C";

-- name: AddUsers :many
INSERT INTO users (user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index,
    customer_id, status, created_at, initial_password, tier)
SELECT (@user_ids::text[])[i], (@hashes::text[])[i], (@names::bytea[])[i], (@phones::bytea[])[i],
    (@phone_indexes::bytea[])[i], (@emails::bytea[])[i], (@email_indexes::bytea[])[i], (@customers::text[])[i],
    (@statuses::text[])[i], (@created::timestamptz[])[i], (@initial::boolean[])[i],
    (@tiers::text[])[i]
FROM generate_subscripts(@user_ids::text[], 1) AS i
ON CONFLICT (user_id) DO NOTHING RETURNING user_id;

-- name: AddLinesOf :exec
INSERT INTO user_lines (user_id, position, line_sealed, line_index)
SELECT (@user_ids::text[])[i], (@positions::bigint[])[i], (@sealed::bytea[])[i], (@indexes::bytea[])[i]
FROM generate_subscripts(@user_ids::text[], 1) AS i;

-- name: AddRolesOf :exec
INSERT INTO user_roles (user_id, role)
SELECT (@user_ids::text[])[i], (@roles::text[])[i] FROM generate_subscripts(@user_ids::text[], 1) AS i;

-- The zero time stands for a grant without end.
-- name: AddGrantsOf :exec
INSERT INTO user_grants (user_id, permission, expires_at, granted_by, granted_at)
SELECT (@user_ids::text[])[i], (@permissions::text[])[i],
    nullif((@expiries::timestamptz[])[i], '0001-01-01 00:00:00+00'), (@givers::text[])[i], (@given::timestamptz[])[i]
FROM generate_subscripts(@user_ids::text[], 1) AS i;
