-- name: PurgeInquiries :one
SELECT purge_inquiries(@keep_years::integer, @batch::bigint)::bigint;

-- name: PurgeBillVersions :one
SELECT purge_bill_versions(@keep_years::integer, @batch::bigint)::bigint;
