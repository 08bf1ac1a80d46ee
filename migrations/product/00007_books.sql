-- Comparing the books: ours, KOS's, deliveries. A report, which nothing acts on. Expand only: the release before knows none of it.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';

-- Orders as they became final.
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_final; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_final ON change_orders (processed_at, id) WHERE processed_at IS NOT NULL;
-- The numbers that were given to the results of a line.
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_numbered; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_numbered ON change_orders (line_index, delivery_sequence)
WHERE delivery_sequence IS NOT NULL;

-- reached_*: NULL = not even the open orders were looked at. lease_until: whoever carries it on is taken for dead then.
CREATE TABLE IF NOT EXISTS book_runs (
    id uuid PRIMARY KEY,
    nightly boolean NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    reached_at timestamptz,
    reached_id uuid,
    checked bigint NOT NULL DEFAULT 0,
    asked bigint NOT NULL DEFAULT 0,
    undecided bigint NOT NULL DEFAULT 0,
    unasked bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL,
    fence bigint NOT NULL DEFAULT 0
);
-- One run at a time.
CREATE UNIQUE INDEX IF NOT EXISTS book_runs_going ON book_runs ((finished_at IS NULL)) WHERE finished_at IS NULL;

-- What runs found, append-only.
CREATE TABLE IF NOT EXISTS book_differences (
    run_id uuid NOT NULL,
    order_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'OURS_DONE_KOS_NOT', 'OURS_FAILED_KOS_DONE', 'OURS_OPEN_TOO_LONG', 'KOS_PLAN_DIFFERS', 'NOT_TOLD', 'TOLD_TWICE_OR_OUT_OF_ORDER'
    )),
    found_at timestamptz NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (run_id, order_id, kind)
);

-- Reports are kept as long as the orders they tell of. Ids are UUIDv7.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION purge_book_runs(keep_years integer, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    born_before timestamptz := now() - make_interval(years => greatest(keep_years, 3));
    first_young uuid := (lpad(to_hex((extract(epoch FROM born_before) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(due.id) INTO old FROM (
        SELECT h.id FROM public.book_runs h
        WHERE h.id < first_young AND h.finished_at IS NOT NULL
        ORDER BY h.id LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.book_differences WHERE run_id = ANY(old);
    DELETE FROM public.book_runs WHERE id = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_book_runs(integer, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_book_runs(integer, bigint) TO phonebill_product;
GRANT SELECT, INSERT, UPDATE ON book_runs TO phonebill_product;
GRANT SELECT, INSERT ON book_differences TO phonebill_product;
RESET lock_timeout;
RESET statement_timeout;
