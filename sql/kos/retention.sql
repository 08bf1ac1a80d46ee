-- name: PurgeKosCalls :one
SELECT purge_kos_calls(@keep_years::integer, @batch::bigint)::bigint;

-- name: PurgeMonthCopies :one
SELECT purge_month_copies(@keep_seconds::bigint, @batch::bigint)::bigint;
