-- Retention: the log of KOS calls 1 year.
-- The service may call these functions and may not delete by itself: they drop nothing that is younger than the period prescribed, whatever
-- they are asked. Ids are UUIDv7 (ADR 27), so what is old is found by the primary key.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- +goose StatementBegin
CREATE FUNCTION purge_kos_calls(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 1));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.kos_calls h
        WHERE h.id < first_young
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.kos_calls WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_kos_calls(integer, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_kos_calls(integer, bigint) TO phonebill_kos;
