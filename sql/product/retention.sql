-- name: PurgeChangeOrders :one
SELECT purge_change_orders(@keep_years::integer, @batch::bigint)::bigint;
