-- Which months of a line have a bill, as KOS stated it last: for the menu, which never waits for KOS.
-- Expand only: the release before neither reads nor writes it.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE month_copies (
    line_index bytea PRIMARY KEY, -- blind index of the number
    stated_at timestamptz NOT NULL, -- when KOS was asked
    sealed bytea NOT NULL -- line, months, customer
);
CREATE INDEX month_copies_stated_at ON month_copies (stated_at);

GRANT SELECT, INSERT, UPDATE ON month_copies TO phonebill_kos;

-- The service may not delete by itself. This function drops copies that nobody is shown any more: those that are older than
-- asked for, and in any case than 7 days.
-- +goose StatementBegin
CREATE FUNCTION purge_month_copies(keep_seconds bigint, batch bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old bytea[];
BEGIN
    SELECT array_agg(due.line_index) INTO old FROM (
        SELECT c.line_index FROM public.month_copies c
        WHERE c.stated_at < now() - make_interval(secs => greatest(keep_seconds, 604800))
        ORDER BY c.stated_at LIMIT batch FOR UPDATE SKIP LOCKED
    ) AS due;
    DELETE FROM public.month_copies WHERE line_index = ANY(old);
    RETURN coalesce(cardinality(old), 0);
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION purge_month_copies(bigint, bigint) FROM public;
GRANT EXECUTE ON FUNCTION purge_month_copies(bigint, bigint) TO phonebill_kos;
