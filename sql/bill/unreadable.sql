-- Claimed inquiries that cannot be opened; the attempt that was counted is not made.
-- name: PutOffInquiries :exec
UPDATE inquiries SET next_attempt_at = @until::timestamptz, attempts = attempts - 1
WHERE id = ANY(@ids::uuid[]) AND status = 'PROCESSING';
