-- Claimed orders that cannot be opened.
-- name: PutOffOrders :exec
UPDATE change_orders SET next_attempt_at = @until::timestamptz, version = version + 1
WHERE id = ANY(@ids::uuid[]) AND state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN');
