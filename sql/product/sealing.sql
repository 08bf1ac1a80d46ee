-- name: SealingForm :one
SELECT form FROM sealing;

-- name: RaiseSealing :exec
SELECT raise_sealing(@to_form::bigint);

-- Rows are read along the primary key, whatever their form, so that no statement takes long however many are done.
-- name: OrdersToReseal :many
SELECT id, user_id, line_index, line_sealed FROM change_orders WHERE id > @after ORDER BY id LIMIT @n::bigint;

-- name: ResealOrderLines :one
SELECT reseal_change_orders(@ids::uuid[], @olds::bytea[], @news::bytea[])::bigint;

-- name: CountAllOrders :one
SELECT count(*) FROM change_orders;
