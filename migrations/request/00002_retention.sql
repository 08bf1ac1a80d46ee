-- Retention of a product whose requests have no table of their own: a request and the attempts to deliver its event are
-- deleted when they are older than the period (R-RETENTION), final, and delivered or parked for good. Services may not
-- delete; this function of the owner does, and keeps two years at least whatever it is asked for.
-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';
-- +goose StatementBegin
CREATE FUNCTION purge_requests(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 2));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0')
        || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.requests h
        WHERE h.id < first_young
            AND h.state NOT IN ('PROCESSING', 'PARKED') AND h.delivery_state <> 'PENDING'
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.delivery_attempts WHERE event_id = ANY(old);
    DELETE FROM public.requests WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_requests(integer, bigint) FROM public;

-- Where requests is a view, the product deletes by a function of its own, which knows what else belongs to a request.
-- +goose StatementBegin
DO $$
DECLARE
    service name;
BEGIN
    IF (SELECT relkind FROM pg_catalog.pg_class WHERE oid = 'public.requests'::regclass) <> 'r' THEN
        DROP FUNCTION purge_requests(integer, bigint);
        RETURN;
    END IF;
    FOR service IN
        SELECT r.rolname FROM pg_catalog.pg_roles r
        WHERE r.rolname LIKE 'phonebill\_%' AND NOT r.rolsuper AND r.rolname <> current_user
            AND has_database_privilege(r.oid, current_database(), 'CONNECT')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION purge_requests(integer, bigint) TO %I', service);
    END LOOP;
END
$$;
-- +goose StatementEnd
