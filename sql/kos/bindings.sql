-- Binds an account once, and returns what it is bound to. No row: it was bound a moment ago; try again.
-- name: BindAccount :one
WITH new AS (
    INSERT INTO account_customers (account_index, line_index, customer_index)
    VALUES (@account_index, @line_index, @customer_index)
    ON CONFLICT DO NOTHING RETURNING customer_index
)
SELECT n.customer_index FROM new n
UNION ALL
SELECT a.customer_index FROM account_customers a WHERE a.account_index = @account_index AND a.line_index = @line_index
LIMIT 1;
