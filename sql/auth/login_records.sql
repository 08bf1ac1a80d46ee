-- The keyed hash is of the account's id as it is spelled or, in rows of an unknown id, of the folded id. Rows of
-- another account whose id differs in case alone are left out.

-- name: CountLogins :one
SELECT count(*) FROM (
    SELECT 1 FROM login_history
    WHERE subject = ANY(@subjects::bytea[]) AND (user_id IS NULL OR user_id = @user_id::text) LIMIT @most::bigint
) AS seen;

-- name: LoginPage :many
SELECT * FROM login_history WHERE subject = @subject AND (user_id IS NULL OR user_id = @user_id::text)
ORDER BY at DESC, id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- For ids with capitals: the rows of two hashes have to be sorted.
-- name: LoginPageOfTwo :many
SELECT * FROM login_history WHERE subject IN (@subject, @before) AND (user_id IS NULL OR user_id = @user_id::text)
ORDER BY at DESC, id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountLoginsSince :one
SELECT count(*) FROM login_history
WHERE subject = ANY(@subjects::bytea[]) AND at >= @since AND type = @type
    AND (user_id IS NULL OR user_id = @user_id::text);
