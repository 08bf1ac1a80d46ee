-- How sealed values are bound to where they stand: to their column alone, as release b0e8e26 writes and reads them, or to their row.
-- Expand only: that release does not know these objects.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- One row: 1 = values bound to their column are written (release b0e8e26 runs beside), 2 = values bound to their row are
-- written and both are read, 3 = those bound to their column are refused. A database that nothing was written into yet has
-- no older release to wait for, and begins with 3.
CREATE TABLE sealing (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    form bigint NOT NULL CHECK (form BETWEEN 1 AND 3),
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO sealing (form) SELECT CASE WHEN EXISTS (SELECT FROM bill_versions)
    OR EXISTS (SELECT FROM inquiries) THEN 1 ELSE 3 END;
GRANT SELECT ON sealing TO phonebill_bill;

-- The form only moves on.
-- +goose StatementBegin
CREATE FUNCTION raise_sealing(to_form bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.sealing SET form = to_form, changed_at = now() WHERE form < to_form;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION raise_sealing(bigint) FROM public;
GRANT EXECUTE ON FUNCTION raise_sealing(bigint) TO phonebill_bill;

-- The service may not change these columns. This function replaces a value that is bound to its column (and still is the one that was
-- read) by one that is bound to its row (the mark is the byte 2), once, and nothing else.
-- +goose StatementBegin
CREATE FUNCTION reseal_bill_versions(ids uuid[], olds bytea[], news bytea[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH given AS (
        SELECT unnest(ids) AS id, unnest(olds) AS old, unnest(news) AS new
    ), done AS (
        UPDATE public.bill_versions t SET sealed = g.new
        FROM given g
        WHERE t.id = g.id AND (SELECT s.form FROM public.sealing s) >= 2
            AND t.sealed = g.old AND substring(t.sealed FROM 2 FOR 1) <> '\x02'::bytea AND substring(g.new FROM 2 FOR 1) = '\x02'::bytea
        RETURNING t.id
    )
    SELECT count(*) FROM done;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION reseal_bill_versions(uuid[], bytea[], bytea[]) FROM public;
GRANT EXECUTE ON FUNCTION reseal_bill_versions(uuid[], bytea[], bytea[]) TO phonebill_bill;

-- The same for the lines of inquiries.
-- +goose StatementBegin
CREATE FUNCTION reseal_inquiries(ids uuid[], olds bytea[], news bytea[]) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH given AS (
        SELECT unnest(ids) AS id, unnest(olds) AS old, unnest(news) AS new
    ), done AS (
        UPDATE public.inquiries t SET line_sealed = g.new
        FROM given g
        WHERE t.id = g.id AND (SELECT s.form FROM public.sealing s) >= 2
            AND t.line_sealed = g.old AND substring(t.line_sealed FROM 1 FOR 1) <> '\x02'::bytea AND substring(g.new FROM 1 FOR 1) = '\x02'::bytea
        RETURNING t.id
    )
    SELECT count(*) FROM done;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION reseal_inquiries(uuid[], bytea[], bytea[]) FROM public;
GRANT EXECUTE ON FUNCTION reseal_inquiries(uuid[], bytea[], bytea[]) TO phonebill_bill;
