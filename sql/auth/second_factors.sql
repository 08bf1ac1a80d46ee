-- name: SecondFactor :one
SELECT * FROM user_totp WHERE user_id = $1;

-- name: BeginSecondFactor :execrows
INSERT INTO user_totp AS t (user_id, secret_sealed, created_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET secret_sealed = excluded.secret_sealed, created_at = excluded.created_at
WHERE t.confirmed_at IS NULL;

-- name: LockSecondFactor :one
SELECT * FROM user_totp WHERE user_id = $1 FOR UPDATE;

-- The confirmed one counts until the next one is confirmed.
-- name: BeginNextFactor :execrows
UPDATE user_totp SET next_sealed = $2, next_created_at = $3 WHERE user_id = $1 AND confirmed_at IS NOT NULL;

-- name: ConfirmSecondFactor :exec
UPDATE user_totp SET secret_sealed = $2, created_at = $3, confirmed_at = $4, last_step = $5, next_sealed = NULL,
    next_created_at = NULL
WHERE user_id = $1;

-- name: AddRecoveryCodes :exec
INSERT INTO user_recovery_codes (user_id, code_index) SELECT @user_id::text, unnest(@indexes::bytea[]);

-- name: DropRecoveryCodes :exec
DELETE FROM user_recovery_codes WHERE user_id = $1;

-- name: AcceptStep :execrows
UPDATE user_totp SET last_step = @step WHERE user_id = @user_id AND last_step < @step AND confirmed_at IS NOT NULL;

-- name: UseRecoveryCode :execrows
UPDATE user_recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_index = $2 AND used_at IS NULL;

-- name: IsStaff :one
SELECT EXISTS(SELECT 1 FROM user_roles WHERE user_id = $1 AND role IN ('OPERATOR', 'ADMIN'));

-- name: DropSecondFactor :exec
DELETE FROM user_totp WHERE user_id = $1;
