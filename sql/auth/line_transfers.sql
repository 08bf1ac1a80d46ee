-- A transaction that adds a line to an account holds the lock of the line until its end, so that the second of two sees
-- what the first did. There are 1024 locks for all lines, so that a bulk load does not need more locks than the server
-- has. Accounts are locked before lines, everywhere.
-- name: LockLines :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.lines'), s.lock) FROM (
    SELECT DISTINCT (hashtextextended(encode(i, 'hex'), 0) & 1023)::int AS lock FROM unnest(@indexes::bytea[]) AS i
    ORDER BY 1
) AS s;

-- name: LineHeldByOther :one
SELECT line_index FROM user_lines WHERE line_index = ANY(@indexes::bytea[]) AND user_id <> @user_id::text LIMIT 1;

-- name: LineHolders :many
SELECT line_index, user_id FROM user_lines WHERE line_index = ANY(@indexes::bytea[]) ORDER BY user_id;

-- name: WaitingTransfer :one
SELECT * FROM line_transfers
WHERE line_index = @line_index AND to_user = @to_user AND proposed_by = @proposed_by AND confirmed_at IS NULL
    AND expires_at > @now
ORDER BY proposed_at LIMIT 1;

-- A line that was taken has no account that gets it.
-- name: TakenLine :one
SELECT * FROM line_transfers
WHERE line_index = ANY(@indexes::bytea[]) AND to_user = '' AND lower(proposed_by COLLATE "C") = @folded::text
    AND confirmed_at IS NULL AND expires_at > @now
ORDER BY expires_at DESC, id LIMIT 1;

-- name: AddTransfer :exec
INSERT INTO line_transfers (id, line_index, line_masked, to_user, proposed_by, reason, proposed_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: WaitingTransfers :many
SELECT * FROM line_transfers WHERE confirmed_at IS NULL AND expires_at > @now ORDER BY expires_at, id
LIMIT @most::bigint OFFSET @skipped::bigint;

-- name: CountWaitingTransfers :one
SELECT count(*) FROM line_transfers WHERE confirmed_at IS NULL AND expires_at > @now;

-- name: LockTransfer :one
SELECT * FROM line_transfers WHERE id = $1 FOR UPDATE;

-- name: ConfirmTransfer :exec
UPDATE line_transfers SET confirmed_by = @confirmed_by, confirmed_at = @confirmed_at WHERE id = @id;
