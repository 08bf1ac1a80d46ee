-- Many inquiries at once. Arrays hold no NULLs here: a zero time, id or text that means "none" becomes NULL again.
-- Existing rows stay, so the same row may be added twice (StoredInquiries finds another row under the same id); but a
-- final answer that is added is what the customer got, and replaces the unfinished row and a worker's answer, unless
-- that has a sequence number: then it may have been delivered, and one event never has two bodies.
-- name: AddInquiries :execrows
INSERT INTO inquiries AS i (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
    processed_at, as_of, version_id, summary_sealed, failure_code, timed_out, attempts, next_attempt_at, fence,
    delivery_state, delivery_next_at, trace_id)
SELECT r.id, r.user_id, r.customer_id, r.line_sealed, r.line_index, r.month, r.status, r.source, r.requested_at,
    nullif(r.processed_at, timestamptz '0001-01-01 00:00:00Z'), nullif(r.as_of, timestamptz '0001-01-01 00:00:00Z'),
    nullif(r.version_id, uuid '00000000-0000-0000-0000-000000000000'), nullif(r.summary_sealed, ''::bytea),
    r.failure_code, r.timed_out, r.attempts, nullif(r.next_attempt_at, timestamptz '0001-01-01 00:00:00Z'), r.fence,
    r.delivery_state, nullif(r.delivery_next_at, timestamptz '0001-01-01 00:00:00Z'), r.trace_id
FROM (
    SELECT unnest(@ids::uuid[]) AS id, unnest(@user_ids::text[]) AS user_id,
        unnest(@customer_ids::text[]) AS customer_id, unnest(@lines_sealed::bytea[]) AS line_sealed,
        unnest(@line_indexes::bytea[]) AS line_index, unnest(@months::text[]) AS month,
        unnest(@statuses::text[]) AS status, unnest(@sources::text[]) AS source,
        unnest(@requested_ats::timestamptz[]) AS requested_at, unnest(@processed_ats::timestamptz[]) AS processed_at,
        unnest(@as_ofs::timestamptz[]) AS as_of, unnest(@version_ids::uuid[]) AS version_id,
        unnest(@summaries_sealed::bytea[]) AS summary_sealed, unnest(@failure_codes::text[]) AS failure_code,
        unnest(@timed_outs::boolean[]) AS timed_out, unnest(@attempts::bigint[]) AS attempts,
        unnest(@next_attempt_ats::timestamptz[]) AS next_attempt_at, unnest(@fences::bigint[]) AS fence,
        unnest(@delivery_states::text[]) AS delivery_state,
        unnest(@delivery_next_ats::timestamptz[]) AS delivery_next_at, unnest(@trace_ids::text[]) AS trace_id
) AS r
ON CONFLICT (id) DO UPDATE
SET status = excluded.status, source = excluded.source, processed_at = excluded.processed_at, as_of = excluded.as_of,
    version_id = excluded.version_id, summary_sealed = excluded.summary_sealed, failure_code = excluded.failure_code,
    timed_out = excluded.timed_out, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,
    fence = i.fence + 1,
    delivery_state = CASE WHEN i.status = 'PROCESSING' THEN excluded.delivery_state ELSE i.delivery_state END,
    delivery_next_at = CASE WHEN i.status = 'PROCESSING' THEN excluded.delivery_next_at ELSE i.delivery_next_at END
WHERE excluded.status <> 'PROCESSING' AND i.delivery_sequence IS NULL
    AND (i.status, i.processed_at, i.version_id) IS DISTINCT FROM
        (excluded.status, excluded.processed_at, excluded.version_id)
    AND (i.user_id, i.line_index, i.month, i.requested_at)
    = (excluded.user_id, excluded.line_index, excluded.month, excluded.requested_at);

-- name: StoredInquiries :many
SELECT id, user_id, line_index, month, requested_at, status, processed_at, version_id FROM inquiries
WHERE id = ANY(@ids::uuid[]);
