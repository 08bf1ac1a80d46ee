-- Retention: change orders, their steps and deliveries 3 years.
-- The service may call these functions and may not delete by itself: they drop nothing that is younger than the period prescribed, whatever
-- they are asked. Ids are UUIDv7 (ADR 27), so what is old is found by the primary key.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- +goose StatementBegin
CREATE FUNCTION purge_change_orders(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 3));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.change_orders h
        WHERE h.id < first_young
            AND h.state IN ('COMPLETED', 'FAILED', 'CANCELLED') AND h.delivery_state <> 'PENDING'
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.order_steps WHERE order_id = ANY(old);
    DELETE FROM public.delivery_attempts WHERE event_id = ANY(old);
    DELETE FROM public.change_orders WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_change_orders(integer, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_change_orders(integer, bigint) TO phonebill_product;
