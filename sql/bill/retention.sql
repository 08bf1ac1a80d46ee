-- name: PurgeInquiries :one
SELECT purge_inquiries(@keep_years::integer, @batch::bigint)::bigint;

-- name: PurgeReplacedBills :one
SELECT (p).dropped::bigint AS dropped, coalesce((p).reached, '00000000-0000-0000-0000-000000000000')::uuid AS reached
FROM purge_replaced_bills(@keep_years::integer, @stretch::bigint, @after::uuid) AS p;
