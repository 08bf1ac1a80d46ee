-- name: SealingForm :one
SELECT form FROM sealing;

-- name: RaiseSealing :exec
SELECT raise_sealing(@to_form::bigint);

-- Rows are read along the primary key, whatever their form, so that no statement takes long however many are done.
-- name: BillVersionsToReseal :many
SELECT id, line_index, month, sealed FROM bill_versions WHERE id > @after ORDER BY id LIMIT @n::bigint;

-- name: ResealBillVersions :one
SELECT reseal_bill_versions(@ids::uuid[], @olds::bytea[], @news::bytea[])::bigint;

-- name: CountBillVersions :one
SELECT count(*) FROM bill_versions;

-- name: InquiriesToReseal :many
SELECT id, user_id, line_index, month, line_sealed, summary_sealed FROM inquiries WHERE id > @after ORDER BY id
LIMIT @n::bigint;

-- name: ResealInquiryLines :one
SELECT reseal_inquiries(@ids::uuid[], @olds::bytea[], @news::bytea[])::bigint;

-- name: ResealInquirySummaries :execrows
UPDATE inquiries i SET summary_sealed = g.new
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@olds::bytea[]) AS old, unnest(@news::bytea[]) AS new) AS g
WHERE i.id = g.id AND i.summary_sealed = g.old;

-- name: CountAllInquiries :one
SELECT count(*) FROM inquiries;
