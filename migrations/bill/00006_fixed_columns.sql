-- What an inquiry is, who asked it and when is fixed: the service may change what came of it alone. Its age is told by its id (retention),
-- so a service that could change ids could make history old, and have it dropped. A column that comes later is granted by its own file.
-- Expand only: the release before writes none of these columns after it has added the row.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- +goose StatementBegin
DO $$
DECLARE
    progress text;
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ') INTO progress FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'public.inquiries'::regclass AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname <> ALL (ARRAY['id', 'user_id', 'customer_id', 'line_sealed', 'line_index', 'month', 'requested_at']);
    REVOKE UPDATE ON public.inquiries FROM phonebill_bill;
    EXECUTE format('GRANT UPDATE (%s) ON public.inquiries TO phonebill_bill', progress);
END
$$;
-- +goose StatementEnd
