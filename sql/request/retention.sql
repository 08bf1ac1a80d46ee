-- name: PurgeRequests :one
SELECT purge_requests(@keep_years::integer, @batch::bigint)::bigint;
