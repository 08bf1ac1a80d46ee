-- name: CountLogins :one
SELECT count(*) FROM (SELECT 1 FROM login_history WHERE subject = @subject LIMIT @most::bigint) AS seen;

-- name: LoginPage :many
SELECT * FROM login_history WHERE subject = @subject ORDER BY at DESC, id DESC LIMIT @size::bigint OFFSET @skip::bigint;

-- name: CountLoginsSince :one
SELECT count(*) FROM login_history WHERE subject = @subject AND at >= @since AND type = @type;
