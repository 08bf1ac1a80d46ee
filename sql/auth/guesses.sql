-- Each transition is one statement with the rules of auth.LockoutPolicy; portstest compares the two. A row that is
-- locked has nothing pending, and failures and pending together are never more than max_failures.

-- TakeGuess reserves a guess and returns its round. It returns nothing, and writes nothing, when the subject is locked
-- or busy. The row starts afresh when its lock is over: one that was set, or that of five failures of which some
-- expired.
-- name: TakeGuess :one
INSERT INTO login_attempts AS a (subject, user_index, failures, pending, pending_until, updated_at)
VALUES (@subject, @user_index, 0, 1, @pending_until::timestamptz, @now::timestamptz)
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE
        WHEN a.locked_until IS NOT NULL OR a.failures + a.pending >= @max_failures::bigint THEN 0
        WHEN a.pending_until <= @now::timestamptz THEN a.failures + a.pending
        ELSE a.failures
    END,
    pending = CASE WHEN a.pending_until <= @now::timestamptz THEN 1 ELSE a.pending + 1 END,
    round = CASE WHEN a.pending_until <= @now::timestamptz THEN a.round + 1 ELSE a.round END,
    pending_until = @pending_until::timestamptz,
    locked_until = NULL,
    updated_at = @now::timestamptz
WHERE CASE
    WHEN a.locked_until IS NOT NULL THEN a.locked_until <= @now::timestamptz
    WHEN a.failures + a.pending < @max_failures::bigint THEN true
    ELSE a.pending_until <= @lapsed_before::timestamptz
END
RETURNING round;

-- name: FailGuess :one
UPDATE login_attempts SET
    failures = failures + 1,
    pending = pending - 1,
    pending_until = CASE WHEN pending > 1 THEN pending_until END,
    locked_until = CASE WHEN failures + 1 >= @max_failures::bigint THEN @lock_until::timestamptz END,
    updated_at = @now::timestamptz
WHERE subject = @subject AND pending > 0 AND round = @round
RETURNING failures;

-- name: SucceedGuess :exec
UPDATE login_attempts SET
    failures = 0,
    pending = CASE WHEN round = @round AND pending > 0 THEN pending - 1 ELSE pending END,
    pending_until = CASE WHEN round = @round AND pending <= 1 THEN NULL ELSE pending_until END,
    locked_until = NULL,
    updated_at = @now::timestamptz
WHERE subject = @subject;

-- name: GiveGuessBack :exec
UPDATE login_attempts SET
    pending = pending - 1,
    pending_until = CASE WHEN pending > 1 THEN pending_until END
WHERE subject = @subject AND pending > 0 AND round = @round;

-- The counter of the id has no user_index in rows of the previous release; its subject is that index.
-- name: ClearGuesses :exec
UPDATE login_attempts SET failures = 0, locked_until = NULL WHERE subject = @user_index OR user_index = @user_index;

-- name: PeekGuesses :one
SELECT failures, pending, round, pending_until, locked_until FROM login_attempts WHERE subject = $1;

-- A few at a time, and none that is in use.
-- name: SweepGuesses :execrows
DELETE FROM login_attempts WHERE subject IN (
    SELECT o.subject FROM login_attempts o
    WHERE o.updated_at < @before::timestamptz AND (o.locked_until IS NULL OR o.locked_until <= @now::timestamptz)
    ORDER BY o.updated_at LIMIT @most::bigint FOR UPDATE SKIP LOCKED
);
