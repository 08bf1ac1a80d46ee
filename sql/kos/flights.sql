-- Leases and outcomes use the database's clock.
-- name: LiveFlight :one
SELECT token, refusal, failures, at, extract(epoch FROM until - clock_timestamp())::double precision AS seconds_left
FROM flights
WHERE kind = @kind AND line_index = @line_index AND month = @month AND until > clock_timestamp();

-- Takes the place of what has ended. Failures in a row are kept for a minute beyond the rest that they caused, and at
-- is that of the outcome stored last. No row: another process was faster.
-- name: TakeFlight :one
INSERT INTO flights AS f (kind, line_index, month, token, until)
VALUES (@kind, @line_index, @month, @token, clock_timestamp() + make_interval(secs => @lease_seconds::double precision))
ON CONFLICT (kind, line_index, month) DO UPDATE SET token = excluded.token, until = excluded.until, refusal = '',
    failures = CASE WHEN f.until > clock_timestamp() - interval '1 minute' THEN f.failures ELSE 0 END
WHERE f.until <= clock_timestamp()
RETURNING failures, at;

-- name: EndFlight :exec
DELETE FROM flights WHERE kind = @kind AND line_index = @line_index AND month = @month AND token = @token;

-- name: NoteFlight :exec
UPDATE flights SET token = '', refusal = @refusal, failures = @failures, at = @at,
    until = clock_timestamp() + make_interval(secs => @seconds::double precision)
WHERE kind = @kind AND line_index = @line_index AND month = @month AND token = @token;

-- name: ForgetFlights :exec
DELETE FROM flights WHERE until < clock_timestamp() - interval '10 minutes';
