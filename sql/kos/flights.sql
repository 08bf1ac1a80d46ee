-- A lease or a note that holds is left as it is; what has ended makes room for the caller's lease, failures in a row excepted. The clock is
-- the database's.
-- name: BeginFlight :one
INSERT INTO flights AS f (kind, line_index, month, token, until)
VALUES (@kind, @line_index, @month, @token, clock_timestamp() + make_interval(secs => @lease_seconds::double precision))
ON CONFLICT (kind, line_index, month) DO UPDATE SET
    token = CASE WHEN f.until > clock_timestamp() THEN f.token ELSE excluded.token END,
    refusal = CASE WHEN f.until > clock_timestamp() THEN f.refusal ELSE '' END,
    failures = CASE WHEN f.until > clock_timestamp() - interval '1 minute' THEN f.failures ELSE 0 END,
    at = f.at,
    until = CASE WHEN f.until > clock_timestamp() THEN f.until ELSE excluded.until END
RETURNING f.token, f.refusal, f.failures, f.at, extract(epoch FROM f.until - clock_timestamp())::double precision AS seconds_left;

-- name: EndFlight :exec
DELETE FROM flights WHERE kind = @kind AND line_index = @line_index AND month = @month AND token = @token;

-- name: NoteFlight :exec
UPDATE flights SET token = '', refusal = @refusal, failures = @failures, at = @at,
    until = clock_timestamp() + make_interval(secs => @seconds::double precision)
WHERE kind = @kind AND line_index = @line_index AND month = @month AND token = @token;

-- name: ForgetFlights :exec
DELETE FROM flights WHERE until < clock_timestamp() - interval '10 minutes';
