-- A new id that differs from an existing one in case alone is not inserted.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- Accounts of before may clash already, so that a unique index on the folded id cannot be built. Instead the trigger leaves such a row out,
-- as ON CONFLICT (user_id) DO NOTHING does with an id that is taken: the statements of this and of the previous release count the rows that
-- came in and so refuse it in the same words. The lock lets one transaction at a time add accounts, so that of two that add ids of one
-- folded form the second sees the first; it is held until its end, which is short. A VOLATILE function sees the rows that its own statement
-- has added before.
-- +goose StatementBegin
CREATE FUNCTION one_user_id_of_any_case() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('phonebill.user_ids'));
    IF EXISTS (
        SELECT 1 FROM users u
        WHERE lower(u.user_id COLLATE "C") = lower(NEW.user_id COLLATE "C") AND u.user_id <> NEW.user_id
    ) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER one_user_id_of_any_case BEFORE INSERT ON users
FOR EACH ROW EXECUTE FUNCTION one_user_id_of_any_case();
