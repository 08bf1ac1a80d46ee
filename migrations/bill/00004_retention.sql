-- Retention: inquiries and their deliveries 2 years, bills that newer ones have replaced as long.
-- The service may call these functions and may not delete by itself: they drop nothing that is younger than the period prescribed, whatever
-- they are asked. Ids are UUIDv7 (ADR 27), so what is old is found by the primary key.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- +goose StatementBegin
CREATE FUNCTION purge_inquiries(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 2));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.inquiries h
        WHERE h.id < first_young
            AND h.status <> 'PROCESSING' AND h.delivery_state <> 'PENDING'
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.delivery_attempts WHERE event_id = ANY(old);
    DELETE FROM public.inquiries WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_inquiries(integer, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_inquiries(integer, bigint) TO phonebill_bill;

-- The newest version of a bill is kept for good (ADR 23). One that has been replaced is shown no more a week later at most (hard limit of
-- a stale copy), so inquiries that refer to it are older than the period too.
-- +goose StatementBegin
CREATE FUNCTION purge_bill_versions(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 2));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.bill_versions h
        WHERE h.id < first_young
            AND EXISTS (
                SELECT FROM public.bill_versions n
                WHERE n.line_index = h.line_index AND n.month = h.month AND n.told_at > h.told_at
                    AND n.told_at < born_before - interval '1 month'
            )
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.bill_versions WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_bill_versions(integer, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_bill_versions(integer, bigint) TO phonebill_bill;
