-- No row or one.
-- name: Maintenance :many
SELECT starts_at, ends_at, scope, announcement, switched_by FROM maintenance;

-- name: PutMaintenance :exec
INSERT INTO maintenance (starts_at, ends_at, scope, announcement, switched_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (one) DO UPDATE SET starts_at = $1, ends_at = $2, scope = $3, announcement = $4, switched_by = $5;

-- name: DeleteMaintenance :exec
DELETE FROM maintenance;
