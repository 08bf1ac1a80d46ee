-- What a customer has spent, and the clock of all instances. A customer without calls has version 0.
-- name: CustomerCalls :one
SELECT clock_timestamp()::timestamptz AS now, coalesce(c.calls, '{}')::timestamptz[] AS calls,
    coalesce(c.version, 0)::bigint AS version
FROM (SELECT 1) AS one LEFT JOIN customer_calls c ON c.customer_index = @customer_index;

-- Writes the result of the version that was read. No row: another call of the customer was counted meanwhile.
-- name: PutCustomerCalls :execrows
INSERT INTO customer_calls AS c (customer_index, calls, version, written_at)
VALUES (@customer_index, @calls::timestamptz[], 1, clock_timestamp())
ON CONFLICT (customer_index) DO UPDATE SET calls = excluded.calls, version = c.version + 1,
    written_at = excluded.written_at
WHERE c.version = @version::bigint;

-- name: ForgetCustomerCalls :exec
DELETE FROM customer_calls WHERE written_at < clock_timestamp() - make_interval(secs => @seconds::double precision);
