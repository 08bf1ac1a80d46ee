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
INSERT INTO sealing (form) SELECT CASE WHEN EXISTS (SELECT FROM users)
    OR EXISTS (SELECT FROM signing_keys) THEN 1 ELSE 3 END;
GRANT SELECT ON sealing TO phonebill_auth;

-- The form only moves on.
-- +goose StatementBegin
CREATE FUNCTION raise_sealing(to_form bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.sealing SET form = to_form, changed_at = now() WHERE form < to_form;
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION raise_sealing(bigint) FROM public;
GRANT EXECUTE ON FUNCTION raise_sealing(bigint) TO phonebill_auth;

-- Names, phone numbers, e-mail, lines and password hashes are sealed anew by plain updates, which the service may make.
