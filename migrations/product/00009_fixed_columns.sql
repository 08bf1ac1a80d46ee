-- What an order is, who asked it and when is fixed: the service may change what came of it alone. Its age is told by its id (retention),
-- so a service that could change ids could make history old, and have it dropped; so for reports of the books. A column that comes later
-- is granted by its own file. Expand only: the release before writes none of these columns after it has added the row.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- +goose StatementBegin
DO $$
DECLARE
    progress text;
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ') INTO progress FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'public.change_orders'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (ARRAY[
        'id', 'user_id', 'customer_id', 'line_sealed', 'line_index', 'from_code', 'to_code', 'effective_rule', 'requested_at'
    ]);
    REVOKE UPDATE ON public.change_orders FROM phonebill_product;
    EXECUTE format('GRANT UPDATE (%s) ON public.change_orders TO phonebill_product', progress);

    SELECT string_agg(quote_ident(a.attname), ', ') INTO progress FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'public.book_runs'::regclass AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname <> ALL (ARRAY['id', 'nightly', 'from_at', 'to_at', 'started_at']);
    REVOKE UPDATE ON public.book_runs FROM phonebill_product;
    EXECUTE format('GRANT UPDATE (%s) ON public.book_runs TO phonebill_product', progress);
END
$$;
-- +goose StatementEnd
