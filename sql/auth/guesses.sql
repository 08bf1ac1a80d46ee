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
