-- name: SealingForm :one
SELECT form FROM sealing;

-- How long the form has been in force, in seconds.
-- name: SealingAge :one
SELECT form, greatest(0, extract(epoch FROM clock_timestamp() - changed_at))::double precision AS seconds FROM sealing;

-- name: RaiseSealing :exec
SELECT raise_sealing(@to_form::bigint);

-- Rows are read along the primary key, whatever their form, so that no statement takes long however many are done.
-- name: UsersToReseal :many
SELECT user_id, password_hash, name_sealed, phone_sealed, phone_index, email_sealed, email_index
FROM users WHERE user_id > @after ORDER BY user_id LIMIT @n::bigint;

-- name: ResealUser :exec
-- Each column by itself: a login that changes the hash meanwhile leaves the others to be replaced.
UPDATE users SET
    password_hash = CASE WHEN password_hash = @old_hash THEN @new_hash ELSE password_hash END,
    name_sealed = CASE WHEN name_sealed = @old_name THEN @new_name ELSE name_sealed END,
    phone_sealed = CASE WHEN phone_sealed = @old_phone THEN @new_phone ELSE phone_sealed END,
    email_sealed = CASE WHEN email_sealed = @old_email THEN @new_email ELSE email_sealed END
WHERE user_id = @user_id;

-- name: CountUsers :one
SELECT count(*) FROM users;

-- name: UserLinesToReseal :many
SELECT user_id, position, line_sealed, line_index FROM user_lines
WHERE (user_id, position) > (@user_id::text, @after::bigint) ORDER BY user_id, position LIMIT @n::bigint;

-- name: ResealUserLine :execrows
UPDATE user_lines SET line_sealed = @new WHERE user_id = @user_id AND position = @at AND line_sealed = @old;

-- name: CountUserLines :one
SELECT count(*) FROM user_lines;
