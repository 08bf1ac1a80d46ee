-- name: PurgeKosCalls :one
SELECT purge_kos_calls(@keep_years::integer, @batch::bigint)::bigint;
