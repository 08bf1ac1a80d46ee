-- name: PurgeLoginHistory :one
SELECT purge_login_history(@keep_years::integer, @batch::bigint)::bigint;
