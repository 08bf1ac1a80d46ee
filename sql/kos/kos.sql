-- name: LockQuota :exec
SELECT pg_advisory_xact_lock(hashtext('phonebill.quota_ledger'));

-- The ledger's clock is the database's, the same for all instances; in a subquery it is read once and the index can be
-- used. Calls older than the newest @budget do not matter. Without a squeeze its percent is 100; without calls there is
-- nothing to squeeze.
-- name: Spent :many
SELECT l.spent_at, l.lane, clock_timestamp()::timestamptz AS now, coalesce(s.percent, 100)::bigint AS percent,
    coalesce(s.until, '0001-01-01 00:00:00+00')::timestamptz AS until
FROM quota_ledger l LEFT JOIN quota_squeeze s ON true
WHERE l.spent_at > (SELECT clock_timestamp() - make_interval(secs => @seconds::double precision))
ORDER BY l.spent_at DESC LIMIT @budget::bigint;

-- name: Squeeze :many
SELECT percent, until FROM quota_squeeze;

-- name: PutSqueeze :exec
INSERT INTO quota_squeeze (percent, until) VALUES ($1, $2)
ON CONFLICT (one) DO UPDATE SET percent = excluded.percent, until = excluded.until;

-- name: Now :one
SELECT clock_timestamp()::timestamptz;

-- The leases of floors. Without any there is one row, whose holder is empty.
-- name: FloorLeases :many
SELECT n.now::timestamptz AS now, coalesce(l.holder, '')::text AS holder, coalesce(l.calls, 0)::bigint AS calls,
    coalesce(l.granted_at, n.now)::timestamptz AS granted_at, coalesce(l.expires_at, n.now)::timestamptz AS expires_at
FROM (SELECT clock_timestamp() AS now) n LEFT JOIN floor_leases l ON true
ORDER BY l.holder;

-- name: PutFloorLease :exec
INSERT INTO floor_leases (holder, calls, granted_at, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (holder) DO UPDATE SET expires_at = excluded.expires_at;

-- name: ForgetFloorLease :exec
DELETE FROM floor_leases WHERE holder = $1;

-- name: Spend :exec
WITH forgotten AS (
    DELETE FROM quota_ledger
    WHERE spent_at < (SELECT clock_timestamp() - make_interval(secs => @keep_seconds::double precision))
)
INSERT INTO quota_ledger (spent_at, lane) VALUES (clock_timestamp(), @lane);

-- What every instance has spent within the last 60 s per lane, and the squeeze, read once and without a lock. Without
-- calls there is one row, whose lane is empty and whose count is 0.
-- name: Usage :many
SELECT n.now::timestamptz AS now, coalesce(s.percent, 100)::bigint AS percent,
    coalesce(s.until, '0001-01-01 00:00:00+00')::timestamptz AS until, coalesce(l.lane, '')::text AS lane,
    count(l.id) AS calls
FROM (SELECT clock_timestamp() AS now) n
LEFT JOIN quota_squeeze s ON true
LEFT JOIN quota_ledger l ON l.spent_at > (SELECT clock_timestamp() - interval '60 seconds')
GROUP BY n.now, s.percent, s.until, l.lane;

-- A call that is written again after its response got lost is one row.
-- name: AppendCall :exec
INSERT INTO kos_calls (id, operation, line_index, request_id, asked_at, answered_at, attempt, breaker, result,
    http_status, request_sealed, answer_sealed, waited_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (id) DO NOTHING;

-- name: CustomerCopy :one
SELECT c.sealed FROM customer_copies c LEFT JOIN line_epochs e ON e.line_index = c.line_index
WHERE c.line_index = $1 AND (e.at IS NULL OR c.told_at >= e.at);

-- name: PutCustomerCopy :exec
INSERT INTO customer_copies AS c (line_index, told_at, sealed) VALUES ($1, $2, $3)
ON CONFLICT (line_index) DO UPDATE SET told_at = excluded.told_at, sealed = excluded.sealed
WHERE c.told_at <= excluded.told_at;

-- name: MonthsCopy :one
SELECT sealed FROM month_copies WHERE line_index = $1;

-- name: PutMonthsCopy :exec
INSERT INTO month_copies AS c (line_index, stated_at, sealed) VALUES ($1, $2, $3)
ON CONFLICT (line_index) DO UPDATE SET stated_at = excluded.stated_at, sealed = excluded.sealed
WHERE c.stated_at <= excluded.stated_at;

-- name: PlansCopy :one
SELECT sealed FROM plan_copies WHERE list = 'all';

-- name: PutPlansCopy :exec
INSERT INTO plan_copies AS c (list, told_at, sealed) VALUES ('all', $1, $2)
ON CONFLICT (list) DO UPDATE SET told_at = excluded.told_at, sealed = excluded.sealed
WHERE c.told_at <= excluded.told_at;

-- name: RaiseEpoch :exec
INSERT INTO line_epochs AS e (line_index, at) VALUES ($1, $2)
ON CONFLICT (line_index) DO UPDATE SET at = excluded.at, raised_at = clock_timestamp() WHERE e.at < excluded.at;

-- name: RaisedEpochs :many
SELECT line_index, at FROM line_epochs WHERE raised_at >= @since::timestamptz;

-- name: Epoch :one
SELECT at FROM line_epochs WHERE line_index = $1;
