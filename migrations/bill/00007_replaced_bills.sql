-- Bills that newer ones have replaced, looked for a stretch of ids at a time: the versions that are kept for good are looked at once in a
-- pass, however many there are, not once for each batch. purge_bill_versions stays for the release before.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Looks at the next versions after the id, stretch of them at most, drops what purge_bill_versions would, and answers how many that were and
-- the last one that it looked at; NULL at the end.
-- +goose StatementBegin
CREATE FUNCTION purge_replaced_bills(keep_years integer, stretch bigint, after uuid, OUT dropped bigint, OUT reached uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 2));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    looked uuid[];
    old uuid[];
BEGIN
    SELECT array_agg(next.id ORDER BY next.id) INTO looked FROM (
        SELECT h.id FROM public.bill_versions h WHERE h.id > after AND h.id < first_young ORDER BY h.id LIMIT stretch
    ) AS next;
    reached := looked[cardinality(looked)];
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.bill_versions h
        WHERE h.id = ANY(looked)
            AND EXISTS (
                SELECT FROM public.bill_versions n
                WHERE n.line_index = h.line_index AND n.month = h.month AND n.told_at > h.told_at
                    AND n.told_at < born_before - interval '1 month'
            )
        ORDER BY h.id FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.bill_versions WHERE id = ANY(old);
    dropped := coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_replaced_bills(integer, bigint, uuid) FROM public;
GRANT EXECUTE ON FUNCTION purge_replaced_bills(integer, bigint, uuid) TO phonebill_bill;
