-- Claimed inquiries that cannot be opened.
-- name: PutOffInquiries :exec
UPDATE inquiries SET next_attempt_at = @until::timestamptz WHERE id = ANY(@ids::uuid[]) AND status = 'PROCESSING';
