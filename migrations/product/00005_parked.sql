-- Orders that a person must resolve, and customers who are to be told how an order ended. Expand only: the release before knows neither
-- the table nor the columns; it tells no customer, and resolves nothing.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';

-- What persons said of parked orders, append-only. applied: the second person said the same, and the order went on.
CREATE TABLE IF NOT EXISTS order_resolutions (
    order_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    by_user text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('COMPLETED', 'FAILED', 'RECONCILE')),
    reason text NOT NULL,
    applied boolean NOT NULL,
    PRIMARY KEY (order_id, number)
);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_ambiguous; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_ambiguous ON change_orders (id) WHERE state = 'PARKED';

-- When the customer is to be told, or told again; NULL = nothing to tell. While he is being told it is the end of the lease.
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS notify_at timestamptz;
ALTER TABLE change_orders ADD COLUMN IF NOT EXISTS notify_attempts bigint NOT NULL DEFAULT 0;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_untold; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_untold ON change_orders (notify_at) WHERE notify_at IS NOT NULL;

-- The same as before, and the resolutions go with their orders.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION purge_change_orders(keep_years integer, batch bigint) RETURNS bigint
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
    DELETE FROM public.order_resolutions WHERE order_id = ANY(old);
    DELETE FROM public.delivery_attempts WHERE event_id = ANY(old);
    DELETE FROM public.change_orders WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
GRANT SELECT, INSERT ON order_resolutions TO phonebill_product;
RESET lock_timeout;
RESET statement_timeout;
